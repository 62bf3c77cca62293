"""Splits of a budget against second routes: linear programs in each draw, the program of the paper, brute force, Lagrange."""

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import linprog, minimize

from funnelstats.decisions.allocation import AVERAGE, CAUTIOUS, PRESENT, allocate
from funnelstats.decisions.filling import fill, tail_mean
from funnelstats.decisions.least_spend import least_spend
from funnelstats.decisions.limits import limits
from funnelstats.decisions.response import Response
from funnelstats.estimate import Estimate, NotIdentified

ARMS = ("Web", "Fair", "Phone", "Mail")
NOW = dict.fromkeys(ARMS, 25.0)


def linear(mean=(3.0, 2.5, 2.0, 0.1), sd=0.8, draws=120, upto=60.0, seed=1):
    values = np.random.default_rng(seed).normal(mean, sd, size=(draws, len(mean)))
    per_unit = Estimate.of(values, description="value per CNY", coords={"channel": list(ARMS[: len(mean)])})
    return Response.linear(per_unit, upto=upto, spend_unit="CNY")


def curved(draws=60, seed=2):
    rng = np.random.default_rng(seed)
    value = Estimate.of(
        rng.gamma(40, [2.5, 2.0, 1.5, 1.0], size=(draws, 4)), unit="CNY", description="value", coords={"channel": list(ARMS)}
    )
    beta = Estimate.of(rng.beta(20, 20, size=(draws, 4)), description="elasticity", coords={"channel": list(ARMS)})
    return Response.power(value, at=NOW, elasticity=beta, spend_unit="CNY", times=3)


def program(cut, draw, budget):
    """Value of the best split of one draw by a linear program on the pieces."""
    need = cut.hours[draw if len(cut.hours) > 1 else 0]
    rows = [np.ones(len(cut.width)), need[cut.arm]]
    most = [budget - cut.low.sum(), cut.capacity - need @ cut.low]
    keep = np.isfinite(most)
    found = linprog(-cut.slope[draw], A_ub=np.array(rows)[keep], b_ub=np.array(most)[keep], bounds=[(0, w) for w in cut.width])
    return cut.base[draw] - found.fun


@pytest.mark.parametrize("response", [linear(), curved()], ids=["linear", "curved"])
@pytest.mark.parametrize("second", [None, "fixed", "drawn"])
def test_the_best_split_of_each_draw_is_that_of_a_linear_program(response, second):
    hours = capacity = None
    if second:
        per = np.array([0.5, 0.2, 1.0, 0.1])
        draws = per * np.random.default_rng(3).gamma(20, 1 / 20, size=(response.values[0].shape[1], 4))
        hours = (
            dict(zip(ARMS, per, strict=True))
            if second == "fixed"
            else Estimate.of(draws, unit="hour/CNY", description="h", coords={"channel": list(ARMS)})
        )
        capacity = 30.0
    cut = limits(response, 100.0, {"Mail": (5.0, 40.0)}, hours, capacity)
    best = fill(cut, 100.0)
    reached = cut.base + (cut.slope * cut.laid(best)).sum(axis=1)
    wanted = [program(cut, draw, 100.0) for draw in range(len(reached))]
    np.testing.assert_allclose(reached, wanted, rtol=1e-7)
    assert best.sum(axis=1).max() <= 100 * (1 + 1e-12)
    assert best[:, 3].min() >= 5
    if second:
        assert (cut.hours * best).sum(axis=1).max() <= 30 * (1 + 1e-9)
        assert (np.abs((cut.hours * best).sum(axis=1) - 30) < 1e-6).any()  # the limit does bite somewhere


def rockafellar_uryasev(slope, width, budget, tail):
    """Equation 17 of the paper: one program with a variable for each draw; value of the best mean of the worst draws."""
    n, pieces = slope.shape
    cost = np.concatenate([np.zeros(pieces), [-1.0], np.full(n, 1 / (tail * n))])
    short = np.hstack([-slope, np.ones((n, 1)), -np.eye(n)])
    money = np.concatenate([np.ones(pieces), np.zeros(n + 1)])[None]
    bounds = [*((0, w) for w in width), (None, None), *((0, None) for _ in range(n))]
    return -linprog(cost, A_ub=np.vstack([short, money]), b_ub=[*np.zeros(n), budget], bounds=bounds).fun


@pytest.mark.parametrize("tail", [0.05, 0.25, 0.61])
def test_the_cautious_split_is_that_of_the_program_of_rockafellar_and_uryasev(tail):
    for response in (linear(mean=(2.0, 1.8, 1.6, 1.5), sd=[1.0, 0.6, 0.3, 0.1]), curved()):
        found = allocate(response, budget=100, present=NOW, min_effect=0, tail=tail)
        cut = limits(response, 100.0, None, None, None)
        wanted = rockafellar_uryasev(cut.slope, cut.width, 100.0, tail)
        reached = found.outcomes()["worst_mean"]
        assert reached[CAUTIOUS] == pytest.approx(wanted, rel=3e-6)
        assert reached[CAUTIOUS] >= reached[AVERAGE] - 1e-6 * abs(wanted)
        assert found.value.point.sel(action=AVERAGE) >= found.value.point.sel(action=CAUTIOUS) - 1e-6


def test_the_cautious_split_spreads_where_the_average_does_not():
    # equal means, independent draws: any split is as good on average, the even one is best in the worst draws
    found = allocate(
        linear(mean=(2.0, 2.0, 2.0, 2.0), sd=0.5, draws=4000, upto=100.0), budget=100, present=NOW, min_effect=1, tail=0.1
    )
    assert found.splits[CAUTIOUS].to_numpy() == pytest.approx([25] * 4, abs=4)
    assert found.verdict != "move"
    assert found.recommended.to_dict() == NOW


def test_equal_elasticities_split_as_lagrange_says():
    # maximise sum of A_i (x_i / x0)^beta with sum x = B: x_i proportional to A_i ** (1 / (1 - beta))
    size, beta = np.array([90.0, 60.0, 45.0, 30.0]), 0.5
    value = Estimate.of(np.tile(size, (8, 1)), unit="CNY", description="value", coords={"channel": list(ARMS)})
    response = Response.power(value, at=NOW, elasticity=beta, spend_unit="CNY", times=4)
    share = size ** (1 / (1 - beta))
    exact = 100 * share / share.sum()
    found = allocate(response, budget=100, present=NOW, min_effect=0)
    assert found.splits[AVERAGE].to_numpy() == pytest.approx(exact, abs=3)  # pieces are up to eight wide
    optimal = float((size * (exact / 25) ** beta).sum())
    assert found.value.point.sel(action=AVERAGE) == pytest.approx(optimal, rel=2e-3)
    assert found.value.point.sel(action=PRESENT) == pytest.approx(size.sum(), rel=1e-12)


def test_a_curve_lies_under_its_formula_by_little_and_is_best_where_the_formula_is():
    scale = np.array([10.0, 20.0, 40.0, 80.0])
    value = Estimate.of(
        np.tile([80.0, 80.0, 80.0, 80.0], (4, 1)), unit="deal", description="value", coords={"channel": list(ARMS)}
    )
    response = Response.log(value, at=NOW, scale=dict(zip(ARMS, scale, strict=True)), spend_unit="CNY", times=3)

    def true(x):
        return float((80 * np.log1p(x / scale) / np.log1p(25 / scale)).sum())

    for split in ([25.0, 25.0, 25.0, 25.0], [3.3, 17.1, 44.4, 60.2], [70.0, 1.0, 2.0, 30.0]):
        under = float(response.at(np.array(split)).sum("channel").point)
        assert 0 <= true(np.array(split)) - under < 2e-3 * true(np.array(split))
    whole = minimize(
        lambda x: -true(x), [25.0] * 4, bounds=[(0, 75)] * 4, constraints={"type": "eq", "fun": lambda x: x.sum() - 100}
    )
    found = allocate(response, budget=100, present=NOW, min_effect=0)
    assert true(found.splits[AVERAGE].to_numpy()) == pytest.approx(-whole.fun, rel=5e-4)


def test_at_its_scale_a_logarithmic_curve_is_half_as_steep_as_at_nought():
    value = Estimate.of([[80.0]] * 3, unit="deal", description="value", coords={"channel": ["Web"]})
    response = Response.log(value, at={"Web": 40.0}, scale=20.0, spend_unit="CNY")

    def formula(x):
        return 80 * np.log1p(x / 20) / np.log1p(2)

    assert response.values[0][0, 0] == pytest.approx(formula(response.levels[0]))
    assert (formula(20 + 1e-5) - formula(20)) / (formula(1e-5) - formula(0)) == pytest.approx(0.5, rel=1e-4)


def test_hours_that_are_uncertain_are_kept_in_every_draw_by_the_split_that_linear_programming_finds():
    response = linear(draws=80)
    draws = np.random.default_rng(5).gamma(10, [0.05, 0.03, 0.02, 0.01], size=(80, 4))
    hours = Estimate.of(draws, unit="hour/CNY", description="hours", coords={"channel": list(ARMS)})
    found = allocate(response, budget=100, present=NOW, min_effect=0, hours=hours, capacity=40.0)
    for name in (AVERAGE, CAUTIOUS):
        assert (draws @ found.splits[name].to_numpy()).max() <= 40.0 * (1 + 1e-12)
    cut = limits(response, 100.0, None, hours, 40.0)
    whole = linprog(
        -cut.slope.mean(axis=0), A_ub=np.vstack([np.ones(4), draws]), b_ub=[100, *np.full(80, 40.0)], bounds=[(0, 60)] * 4
    )
    assert float(found.value.point.sel(action=AVERAGE)) == pytest.approx(-whole.fun, rel=1e-6)
    assert (
        (found.optimum.draws * xr.DataArray(draws[None], dims=("chain", "draw", "channel"))).sum("channel") <= 40 * (1 + 1e-9)
    ).all()


def test_the_least_spending_brings_the_target_and_no_less_does():
    response = curved()
    found = least_spend(response, target=400, assurance=0.9)
    split = found.splits["assured"].to_numpy()
    value = response.at(split).sum("channel")
    assert value.probability(lambda d: d >= 400 * (1 - 1e-9)) >= 0.9
    fewer = allocate(response, budget=found.assured * 0.999, present=dict(zip(ARMS, split * 0.9, strict=True)), min_effect=0)
    assert (fewer.value.draws.sel(action=AVERAGE) >= 400).mean() < 0.9
    assert found.assured > found.on_average
    mean = float(response.at(found.splits["on average"].to_numpy()).sum("channel").point)
    assert mean == pytest.approx(400, rel=1e-6)


def test_a_target_beyond_the_bounds_is_not_identified_and_says_what_can_be_reached():
    found = least_spend(linear(sd=0.0, draws=5), target=1e6)
    assert isinstance(found.on_average, NotIdentified)
    assert "at most 456 CNY can be reached on average" in str(found.on_average)  # 60 (3 + 2.5 + 2 + 0.1)
    assert "at most 0%" in str(found.assured)


def test_the_mean_of_the_worst_draws_is_that_of_the_sorted_ones():
    values = np.random.default_rng(1).normal(size=1000)
    assert tail_mean(values, 0.1) == pytest.approx(np.sort(values)[:100].mean())
    assert tail_mean(values, 1.0) == pytest.approx(values.mean())
