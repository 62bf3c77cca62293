"""The forecast by counts against single deals walked through their stages, unit by unit; its parts against second routes."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from funnelstats.data.crm import read_crm
from funnelstats.data.simulate import simulate_crm
from funnelstats.data.stages import StageHazards
from funnelstats.decisions.forecast_backtest import crps
from funnelstats.distributions.passage import advancing, arrived_by, convolved, from_age, from_entry, uniform_sum
from funnelstats.inference.priors import Prior
from funnelstats.inference.shifts import shifts
from funnelstats.models.exits import CompetingExits
from funnelstats.models.intake import MEMORY, Intake
from funnelstats.models.passage import passages

ENDS = (10, 20, 30)
SIZE = 40_000


def hazards():
    rows = []
    for stage, early, late in (("Lead", 0.15, 0.05), ("Demo", 0.04, 0.12)):
        inside = 40_000
        for age in range(25):
            gone = round(inside * (early if age < 6 else late))
            rows.append((stage, age, inside, gone // 2, gone - gone // 2, 0 if age < 24 else inside - gone))
            inside -= gone
    frame = pd.DataFrame(rows, columns=["stage", "age", "at_risk", "advanced", "lost", "censored"])
    return StageHazards(frame=frame, stages=("Lead", "Demo", "Won"))


@pytest.fixture(scope="module")
def fit():
    return CompetingExits().fit(hazards(), seed=1, draws=2, chains=1)


def walk(rng, leave, share, bands, stage, age, start):
    """Moment at which each of many deals is won, infinite where it never is: one unit at a time, one draw of the chances.

    Deals stand in ``stage`` with ``age`` whole units behind them; an exit happens at any moment of its unit.
    """
    size = len(start)
    won = np.full(size, np.inf)
    clock, place, old = start.astype(float), np.full(size, stage), np.full(size, age)
    alive = np.ones(size, dtype=bool)
    stages = bands.stage.max() + 1
    cell = bands.at(400)
    for _ in range(400):
        if not alive.any():
            break
        at = cell[place, np.minimum(old, 399)]
        out = alive & (rng.random(size) < leave[at])
        up = out & (rng.random(size) < share[at])
        stay = alive & ~out
        clock = np.where(up, clock + rng.random(size), clock + stay)
        place, old = np.where(up, place + 1, place), np.where(up, 0, old + stay)
        done = up & (place == stages)
        won[done] = clock[done]
        alive &= ~(out & ~up) & ~done & (clock < ENDS[-1])
        place = np.minimum(place, stages - 1)
    return won


def periods(won):
    return np.histogram(won, [0, *ENDS])[0] / len(won)


@pytest.mark.parametrize(("stage", "age"), [(0, 0), (0, 4), (0, 40), (1, 0), (1, 7)])
def test_an_open_deal_is_won_when_the_walk_says(fit, stage, age):
    leave, share, bands = fit.chances()
    standing, _ = passages(fit, stage=np.array([stage]), age=np.array([age]), ends=ENDS)
    walked = periods(walk(np.random.default_rng(1), leave[0], share[0], bands, stage, age, np.zeros(SIZE)))
    np.testing.assert_allclose(standing[0, 0], walked, atol=4.5 * np.sqrt(0.25 / SIZE))
    assert standing[0, 0].sum() < 1


def test_a_deal_yet_to_come_is_won_when_the_walk_says(fit):
    leave, share, bands = fit.chances()
    _, coming = passages(fit, stage=np.array([], int), age=np.array([], int), ends=ENDS)
    rng = np.random.default_rng(2)
    for period in range(3):
        start = rng.uniform(10 * period, 10 * (period + 1), SIZE)
        walked = periods(walk(rng, leave[0], share[0], bands, 0, 0, start))
        np.testing.assert_allclose(coming[0, period], walked, atol=4.5 * np.sqrt(0.25 / SIZE))


def test_passages_in_the_long_run_are_those_of_the_fit(fit):
    """By a far horizon as many are won as ``continue_from`` says in the end: another function, another formula."""
    standing, coming = passages(fit, stage=np.array([0, 1]), age=np.array([3, 50]), ends=(600, 1200))
    for row, (stage, age) in enumerate((("Lead", 3), ("Demo", 50))):
        ever = fit.continue_from(stage, age=age, to="won").draws.values.ravel()
        np.testing.assert_allclose(standing[:, row].sum(axis=-1), ever, atol=1e-9)
    np.testing.assert_allclose(coming[:, 0].sum(axis=-1), fit.predict().draws.prod("stage").values.ravel(), atol=1e-9)


def test_pieces_of_the_passage():
    leave, share = np.array([[0.5, 0.2, 0.4, 0.4]]), np.array([[1.0, 0.5, 0.25, 0.25]])
    density, inside = advancing(leave, share)
    np.testing.assert_allclose(density[0], [0.5, 0.5 * 0.2 * 0.5, 0.5 * 0.8 * 0.4 * 0.25, 0.5 * 0.8 * 0.6 * 0.4 * 0.25])
    np.testing.assert_allclose(convolved(density, density)[0], np.convolve(density[0], density[0])[:4])
    for terms in (1, 2, 5):
        draws = np.random.default_rng(terms).random((100_000, terms)).sum(axis=1)
        np.testing.assert_allclose(uniform_sum(terms), np.histogram(draws, range(terms + 1))[0] / 100_000, atol=0.007)
    by = arrived_by(np.array([[0.0, 0.6, 0.4]]), terms=1)
    np.testing.assert_allclose(by[0], [0, 0, 0.6, 1.0])
    # at age 2 one unit on: the chance of advancing in it
    np.testing.assert_allclose(from_age(density, inside, np.array([[0.0, 1.0]]), age=np.array([2]), ends=(1,)), [[[0.4 * 0.25]]])
    np.testing.assert_allclose(from_entry(by, ends=(1, 2)), [[[0.0, 0.6], [0.0, 0.0]]])


def test_memory_is_the_product_of_its_predictions():
    """The likelihood in closed form against SciPy's negative binomial, one span after another."""
    counts = np.array([30, 41, 28, 55, 60])
    found = Intake(counts=counts[None]).memory()
    like = []
    for w in MEMORY:
        shape, rate, total = float(counts[0]), 1.0, 0.0
        for y in counts[1:]:
            shape, rate = w * shape, w * rate
            total += stats.nbinom.logpmf(y, shape, rate / (1 + rate))
            shape, rate = shape + y, rate + 1
        like.append(total)
    expected = np.exp(np.array(like) - max(like))
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-9)


def test_shifts_agree_with_the_exact_posterior_of_one_spread():
    """The normal approximation against a sum over a fine grid of shift and spread, group by group."""
    rng, spread = np.random.default_rng(3), Prior.of("half_normal", 0.5)
    trials = np.array([[80.0], [150.0], [60.0], [200.0], [120.0]])
    wins = np.array([[30.0], [30.0], [24.0], [62.0], [35.0]])
    base = wins.sum() / trials.sum()
    shift, sd = shifts(trials, wins, np.array([base]), np.array([0]), spread=spread, rng=rng, size=(4000,))
    d, s = np.linspace(-2.5, 2.5, 1001), np.linspace(0.005, 2, 300)
    p = 1 / (1 + np.exp(-(np.log(base / (1 - base)) + d)))
    like = np.exp(stats.binom.logpmf(wins, trials, p) - stats.binom.logpmf(wins, trials, wins / trials))
    prior = stats.norm.pdf(d[:, None], scale=s)
    each = np.einsum("gd,ds->gs", like, prior)
    weight = stats.halfnorm.pdf(s, scale=0.5) * each.prod(axis=0)
    means = np.einsum("gd,d,ds->gs", like, d, prior) / each
    exact = (means * weight).sum(axis=1) / weight.sum()
    np.testing.assert_allclose(shift[..., 0].mean(axis=0), exact, atol=0.035)  # posterior sds are about 0.2
    assert sd.mean() == pytest.approx((s * weight).sum() / weight.sum(), abs=0.03)


def test_crps_is_its_definition():
    rng = np.random.default_rng(4)
    x, y = rng.gamma(3, size=400), 2.2
    grid = np.linspace(0, 20, 200_001)
    steps = (np.searchsorted(np.sort(x), grid, side="right") / len(x) - (grid >= y)) ** 2
    assert crps(x, y) == pytest.approx(np.trapezoid(steps, grid), abs=1e-3)
    normal = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)  # Gneiting & Raftery 2007, eq. 21
    closed = 0.7 * (2 * stats.norm.cdf(0.7) - 1) + 2 * stats.norm.pdf(0.7) - 1 / np.sqrt(np.pi)
    assert crps(normal, 0.7) == pytest.approx(closed, abs=1e-3)


@pytest.fixture(scope="module")
def pair():
    crm = simulate_crm(seed=8, n_leads=500, owners=3)
    return crm, read_crm(crm.events, mapping=crm.mapping, as_of=crm.as_of)


def test_the_engine_counts_what_pandas_counts(pair):
    crm, log = pair
    known, end = log.pipeline("owner", every=30), pd.Timestamp("2026-07-01")
    events = crm.events.sort_values("at", kind="stable")
    last = events.groupby("entity").last()
    still = last[~last["stage"].isin(["Won", "Lost"])]
    age = ((end - still["at"]) / pd.Timedelta(days=1)).astype(int)
    mine = pd.DataFrame({"owner": still["owner"], "stage": still["stage"], "age": age}).value_counts().sort_index()
    ours = known.open.astype({"age": int}).groupby(["owner", "stage", "age"])["n"].sum()
    pd.testing.assert_series_equal(ours, mine.rename("n"), check_dtype=False)
    assert (known.open["n"] * known.open["amount"]).sum() == pytest.approx(still["amount"].sum(), rel=1e-3)
    first = events.groupby("entity").first()
    back = ((end - first["at"]) / pd.Timedelta(days=30)).astype(int)
    mine = pd.DataFrame({"owner": first["owner"], "span": back}).value_counts().sort_index()
    pd.testing.assert_series_equal(known.arrivals.set_index(["owner", "span"])["n"], mine.rename("n"), check_dtype=False)
    won = last[last["stage"] == "Won"].groupby("owner")["amount"].agg(["count", "mean", "std"])
    np.testing.assert_allclose(known.amounts[["n", "mean", "sd"]].to_numpy(), won.to_numpy())
    pd.testing.assert_frame_equal(known.hazards.frame, log.hazards("owner").frame)
    late = log.wins(since="2026-04-01")
    assert late["n"].sum() == ((last["stage"] == "Won") & (last["at"] >= "2026-04-01")).sum()


def test_outcomes_are_what_became_of_them(pair):
    crm, log = pair
    before, _ = log.split("2026-01-31")
    then = crm.events[crm.events["at"] < "2026-02-01"].groupby("entity")["stage"].last()
    then = then[~then.isin(["Won", "Lost"])]
    now = crm.events.groupby("entity")["stage"].last().reindex(then.index)
    fate = now.map({"Won": "won", "Lost": "lost"}).fillna("open")
    mine = pd.DataFrame({"stage": then, "fate": fate}).value_counts().sort_index().rename("n")
    ours = before.outcomes(log).set_index(["stage", "fate"])["n"].sort_index()
    pd.testing.assert_series_equal(ours, mine, check_dtype=False)
