"""Curves from counts beside statsmodels on one row per entity, and beside a loop over entities."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight, survdiff

from funnelstats.data.stages import StageHazards
from funnelstats.distributions.product_limit import Curves, bounds
from funnelstats.models.timing import compare_times, incidence_curves


def world(seed, size=160):
    """Whole-unit ages and fates (0 censored, 1 advanced, 2 lost) of entities in two segments."""
    rng = np.random.default_rng(seed)
    owner = rng.choice(["Ann", "Bo"], size)
    leave, watched = rng.weibull(1.3, size) * np.where(owner == "Ann", 8, 12), rng.uniform(1, 25, size)
    fate = np.where(leave < watched, 1 + (rng.random(size) < 0.6), 0)
    return owner, np.floor(np.minimum(leave, watched)).astype(int), fate


def hazards_of(owner, age, fate):
    kinds = pd.DataFrame({"owner": owner, "age": age, "advanced": fate == 1, "lost": fate == 2, "censored": fate == 0})
    frame = kinds.groupby(["owner", "age"], as_index=False).sum()
    gone = frame["advanced"] + frame["lost"] + frame["censored"]
    at_risk = gone[::-1].groupby(frame["owner"]).cumsum()[::-1]
    return StageHazards(frame=frame.assign(stage="Lead", at_risk=at_risk), stages=("Lead", "Won"), by=("owner",))


@pytest.mark.parametrize("seed", range(5))
def test_statsmodels_agrees(seed):
    owner, age, fate = world(seed)
    curves = incidence_curves(hazards_of(owner, age, fate), by=())
    still = curves[curves["state"] == "open"].set_index("time")
    theirs = SurvfuncRight(age + 1, (fate > 0).astype(int))
    np.testing.assert_allclose(still["share"].reindex(theirs.surv_times), theirs.surv_prob, atol=1e-12)
    inside = theirs.surv_prob > 0
    np.testing.assert_allclose(still["se"].reindex(theirs.surv_times)[inside], theirs.surv_prob_se[inside], atol=1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):  # where everybody has left it divides by none
        incidence = CumIncidenceRight(age + 1, fate)
    for place, state in enumerate(("advanced", "lost")):
        ours = curves[curves["state"] == state].set_index("time").reindex(incidence.times)
        np.testing.assert_allclose(ours["share"], incidence.cinc[place], atol=1e-12)
        known = np.isfinite(incidence.cinc_se[place])
        assert known.sum() > 8
        np.testing.assert_allclose(ours["se"][known], incidence.cinc_se[place][known], atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_log_rank_of_statsmodels(seed):
    owner, age, fate = world(seed)
    ours = compare_times(hazards_of(owner, age, fate))
    statistic, p = survdiff(age + 1, (fate > 0).astype(int), owner)
    assert (ours["statistic"][0], ours["p"][0]) == (pytest.approx(statistic, rel=1e-9), pytest.approx(p, rel=1e-7))


def test_a_loop_over_entities_agrees():
    owner, age, fate = world(7)
    curves = incidence_curves(hazards_of(owner, age, fate))
    for name in ("Ann", "Bo"):
        inside, left = 1.0, {1: 0.0, 2: 0.0}
        mine = curves[curves["owner"] == name]
        for moment in range(age.max() + 1):
            risk = sum(1 for who, a in zip(owner, age, strict=True) if who == name and a >= moment)
            if not risk:
                break
            gone = {
                k: sum(1 for who, a, f in zip(owner, age, fate, strict=True) if who == name and a == moment and f == k)
                for k in (1, 2)
            }
            for k in (1, 2):
                left[k] += inside * gone[k] / risk
            inside *= 1 - sum(gone.values()) / risk
            row = mine[mine["time"] == moment + 1].set_index("state")["share"]
            if len(row):
                assert row.to_dict() == pytest.approx({"advanced": left[1], "lost": left[2], "open": inside}, abs=1e-12)


def test_spread_of_repeated_worlds_is_the_standard_error():
    """The standard errors are those of 2,000 further draws of the exits at each age."""
    rng, n = np.random.default_rng(1), np.array([400, 300, 200, 120])
    advance, lose = np.array([0.1, 0.15, 0.1, 0.2]), np.array([0.05, 0.1, 0.2, 0.1])
    chances = np.stack([advance, lose, 1 - advance - lose], axis=-1)
    runs = [Curves.of(n, rng.multinomial(n, chances)[:, :2].T) for _ in range(2000)]
    expected = Curves.of(n, np.stack([advance, lose]) * n)
    for name in ("left", "among", "inside"):
        spread = np.std([getattr(run, name) for run in runs], axis=0)
        se = getattr(expected, f"{name}_se")
        np.testing.assert_allclose(spread[se > 1e-9], se[se > 1e-9], rtol=0.06)
    inside = [bounds(run.left[0], run.left_se[0], n, prob=0.9) for run in runs]
    covered = np.mean([(low <= expected.left[0]) & (expected.left[0] <= high) for low, high in inside], axis=0)
    assert np.all((covered > 0.87) & (covered < 0.93))
