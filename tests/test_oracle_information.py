"""Values of information against closed forms: the unit normal loss, beta integrals, beta-binomial sums, a product of two."""

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, betabinom, norm

from funnelstats.decisions.allocation import AVERAGE, CAUTIOUS, PRESENT, allocate
from funnelstats.decisions.fixing import value_of_fixing
from funnelstats.decisions.information import enbs, evpi, evppi
from funnelstats.decisions.response import Response
from funnelstats.decisions.sampling import evsi, sampling_table
from funnelstats.errors import DataError, UnitError
from funnelstats.estimate import Estimate

N = 20_001
GRID = (np.arange(N) + 0.5) / N  # evenly spaced quantiles: draws without luck


def one(draws, unit="CNY", words="net benefit"):
    return Estimate.of(draws, unit=unit, description=words)


def normal_loss(z):
    return norm.pdf(z) - z * norm.sf(z)


@pytest.mark.parametrize(("z", "loss"), [(0.0, 0.3989), (0.5, 0.1978), (1.0, 0.0833), (1.5, 0.0293), (2.0, 0.0085)],
                         ids=[f"Raiffa & Schlaifer 1961, unit normal loss at {z}" for z in (0.0, 0.5, 1.0, 1.5, 2.0)])  # fmt: skip
def test_perfect_information_on_a_normal_benefit_is_the_unit_normal_loss(z, loss):
    for sign, action in ((1, "launch"), (-1, "leave it")):
        found = evpi({"launch": one(norm.ppf(GRID, loc=200 * sign * z, scale=200)), "leave it": 0.0})
        assert found.value / 200 == pytest.approx(loss, abs=1.5e-4)
        assert found.p_change == pytest.approx(norm.sf(z), abs=1e-3)
        if z:
            assert found.action == action


def test_knowing_one_of_two_normal_parts_is_the_loss_of_that_part():
    rng = np.random.default_rng(1)
    x, y = 30 + 80 * norm.ppf(rng.permutation(GRID)), 150 * norm.ppf(rng.permutation(GRID))
    net = {"go": one(x + y), "stay": 0.0}
    assert evppi(net, one(x)).value == pytest.approx(80 * normal_loss(30 / 80), rel=0.02)
    assert evppi(net, one(y)).value == pytest.approx(150 * normal_loss(30 / 150), rel=0.02)
    both = evppi(net, {"x": one(x), "y": one(y)}).value
    assert both == pytest.approx(170 * normal_loss(30 / 170), rel=0.02)
    assert both == pytest.approx(evpi(net).value, rel=1e-9)


def test_knowing_what_bends_the_benefit_is_found_by_the_splines():
    rng = np.random.default_rng(2)
    x, noise = rng.normal(size=N), rng.normal(size=N)
    net = {"go": one(100 * (x**2 - 1.2) + 60 * noise), "stay": 0.0}
    grid = norm.ppf(GRID)
    exact = np.maximum(grid**2 - 1.2, 0).mean() * 100  # staying is better on average, 100 (1 - 1.2) < 0
    assert evppi(net, one(x)).value == pytest.approx(exact, rel=0.03)
    kink = {"go": one(100 * (np.abs(x) - 0.9) + 60 * noise), "stay": 0.0}
    assert evppi(kink, one(x)).value == pytest.approx(np.maximum(np.abs(grid) - 0.9, 0).mean() * 100, rel=0.04)


def test_knowing_one_factor_of_a_product():
    rng = np.random.default_rng(3)
    p, q = rng.beta(8, 12, size=N), rng.beta(30, 20, size=N)
    net = {"fix": one(10_000 * p * q - 2500), "leave it": 0.0}
    exact = np.maximum(10_000 * beta.ppf(GRID, 8, 12) * 0.6 - 2500, 0).mean() - max(10_000 * 0.4 * 0.6 - 2500, 0)
    assert evppi(net, one(p, unit="")).value == pytest.approx(exact, rel=0.03)
    shown = evppi(net, {"p": one(p, unit=""), "q": one(q, unit="")})
    assert shown.value == pytest.approx(evpi(net).value, rel=1e-3)


A, B, WORTH, COST = 4, 16, 1000.0, 190.0
RATE = Estimate.of(beta.ppf(GRID[2::5], A, B), description="rate of East")  # still evenly spaced
NET = {
    "go East": RATE.described("net benefit") * one(np.full(len(GRID[2::5]), WORTH)) - one(np.full(len(GRID[2::5]), COST)),
    "stay": 0.0,
}


@pytest.mark.parametrize("n", [1, 2, 10, 100, 1000])
def test_more_leads_are_worth_what_the_beta_binomial_says(n):
    y = np.arange(n + 1)
    after = np.maximum(WORTH * (A + y) / (A + B + n) - COST, 0)
    now = WORTH * A / (A + B) - COST
    weight = betabinom.pmf(y, n, A, B)
    found = evsi(NET, RATE, n=n)
    assert found.value == pytest.approx(weight @ after - now, rel=2e-3, abs=1e-3)
    assert found.p_change == pytest.approx(weight[after == 0].sum(), abs=2e-3)
    assert found.action == "go East"
    assert found.gain.draws.mean() == pytest.approx(found.value, rel=1e-2)


def test_knowing_the_rate_is_the_beta_integral_and_more_leads_approach_it():
    t = COST / WORTH
    exact = WORTH * (t * beta.cdf(t, A, B) - A / (A + B) * beta.cdf(t, A + 1, B))  # E (t - rate)+, what staying out saves
    assert evpi(NET).value == pytest.approx(exact, rel=1e-3)
    assert evppi(NET, RATE).value == pytest.approx(exact, rel=1e-3)
    many = evsi(NET, RATE, n=4000).value
    assert 0.98 * exact < many <= exact * 1.001


@given(seed=st.integers(0, 10**6), shift=st.floats(-2, 2), actions=st.integers(2, 4))
@settings(max_examples=20)
def test_order_of_the_values_whatever_the_decision(seed, shift, actions):
    rng = np.random.default_rng(seed)
    rate = rng.beta(3, 9, size=200)
    slopes, sure = rng.normal(0, 100, actions), rng.normal(shift * 10, 10, actions)
    values = rate[:, None] * slopes + sure + rng.normal(0, 15, (200, actions))
    net = Estimate.of(values, unit="CNY", description="net", coords={"split": [f"s{i}" for i in range(actions)]})
    own = Estimate.of(rate, description="rate")
    perfect, partial = evpi(net), evppi(net, own)
    some = [evsi(net, own, n=n).value for n in (1, 5, 25, 125, 625)]
    slack = 1e-9 * (1 + perfect.value)
    assert 0 <= partial.value <= perfect.value + slack
    assert -slack <= some[0]
    assert all(later >= earlier - slack for earlier, later in pairwise(some))
    assert some[-1] <= partial.value + slack
    assert perfect.gain.draws.min() >= 0
    assert perfect.others.sum() == pytest.approx(1)


def test_a_certain_decision_is_worth_no_information():
    sure = {"fix": one(np.abs(norm.ppf(GRID[2::5])) + 0.01), "leave it": 0.0}
    assert evpi(sure).value == 0.0
    assert evpi(sure).p_change == 0.0
    assert evppi(sure, RATE).value == pytest.approx(0.0, abs=1e-12)
    assert evsi(sure, RATE, n=100).value == pytest.approx(0.0, abs=1e-12)
    assert "with probability under 1% and is worth 0 CNY" in str(evpi(sure))


def test_what_says_nothing_of_the_benefit_is_worth_next_to_nothing():
    luck = np.random.default_rng(4).permutation(GRID)
    net = {"go": one(norm.ppf(GRID, loc=50, scale=200)), "stay": 0.0}
    assert evppi(net, one(luck)).value < 0.02 * evpi(net).value


def test_a_regression_that_overshoots_a_step_is_held_to_what_perfect_information_is_worth():
    x = norm.ppf(GRID[2::5])
    never = {"go": one(np.where(x > 0, -100.0, 0.0)), "stay": 0.0}  # going never brings more than staying
    assert evpi(never).value == 0.0
    assert evppi(never, one(x)).value == 0.0
    assert evsi(never, RATE, n=50).value == 0.0  # the rate rises with x


def test_the_net_benefit_is_what_all_decisions_gain_less_the_cost():
    found = evsi(NET, RATE, n=50)
    net = enbs(found, cost=60.0, decisions=12)
    assert net.point == pytest.approx(12 * found.value - 60)
    assert net.unit == "CNY"
    table = sampling_table(NET, RATE, n=[10, 50, 250], cost_each=1.2, decisions=12)
    assert table.loc[50, "enbs"] == pytest.approx(12 * found.value - 60)
    assert table["worth_it"].tolist() == (table["enbs"] > 0).tolist()
    assert (table["evsi"] <= table["evppi"]).all()
    assert enbs(evpi(NET), cost=0.0).point == pytest.approx(evpi(NET).value)


def test_the_bottleneck_decision_and_the_budget_decision_are_asked_directly():
    rng = np.random.default_rng(5)
    rates = Estimate.of(
        rng.beta([40, 20], [60, 30], size=(4000, 2)), description="rates", coords={"stage": ["Lead", "Opportunity"]}
    )
    amount = Estimate.of(np.full(4000, 1000.0), unit="CNY/deal", description="amount")
    fixes = {stage: value_of_fixing(rates, stage, entrants=500, amount=amount, to=to, cost=20_000.0).net
             for stage, to in (("Lead", 0.5), ("Opportunity", 0.8))}  # fmt: skip
    found = evpi(fixes | {"leave it": 0.0})
    benefits = np.stack([*(fix.draws.values[0] for fix in fixes.values()), np.zeros(4000)])
    assert found.value == pytest.approx(benefits.max(axis=0).mean() - benefits.mean(axis=1).max())
    lead = evppi(fixes | {"leave it": 0.0}, rates.sel(stage="Lead"))
    assert 0 < lead.value < found.value
    per = Estimate.of(rng.normal([2.0, 1.8], 0.5, size=(4000, 2)), description="per CNY", coords={"channel": ["Web", "Fair"]})
    split = allocate(Response.linear(per, upto=100, spend_unit="CNY"), budget=100, present={"Web": 50, "Fair": 50}, min_effect=1)
    budget = evpi(split.value)
    assert set(budget.others.index) == {PRESENT, AVERAGE, CAUTIOUS}
    assert budget.value == pytest.approx(
        float(split.value.draws.max("action").mean() - split.value.draws.mean(("chain", "draw")).max())
    )
    # choosing among three splits can gain no more than choosing among all
    assert budget.value <= float(split.regret.point.sel(action=AVERAGE)) + 1e-9


def test_what_is_no_decision_is_refused():
    with pytest.raises(DataError, match="at least two actions"):
        evpi({"go": one(GRID)})
    with pytest.raises(DataError, match="one label with at least two actions"):
        evpi(one(GRID))
    with pytest.raises(UnitError, match="cannot compare"):
        evpi({"go": one(GRID), "wait": one(GRID, unit="day")})
    with pytest.raises(DataError, match="expected draws paired with the net benefits"):
        evppi(NET, one(GRID[:10]))
    with pytest.raises(DataError, match="at most 6 columns, found 7"):
        evppi(NET, Estimate.of(np.tile(GRID[2::5, None], 7), description="many", coords={"stage": list("abcdefg")}))
    with pytest.raises(DataError, match="2 problems") as caught:
        evsi(NET, Estimate(draws=xr.full_like(RATE.draws, 2.0), description="no rate"), n=0)
    assert "expected a whole number of leads" in str(caught.value)
    with pytest.raises(DataError, match="found -1"):
        enbs(evpi(NET), cost=-1)
