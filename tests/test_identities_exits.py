"""What must hold of competing exits: chances add up, later questions agree with earlier ones, and counts decide in the end."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funnelstats.data.stages import StageHazards
from funnelstats.decisions.bottleneck import bottleneck, fastest_decile
from funnelstats.distributions.piecewise import exits_between
from funnelstats.errors import DataError
from funnelstats.models.ages import AgeTable, unit_of
from funnelstats.models.bands import MOST_BANDS, Bands
from funnelstats.models.exits import CompetingExits
from funnelstats.models.stays import mean_time, over_groups
from funnelstats.models.timing import incidence_curves

CHANCE = st.floats(0, 1)


def hazards(size, *, ages=10, stages=("Lead", "Demo", "Won")):
    """Two stages, of which ``size`` entities enter each."""
    parts = []
    for place, stage in enumerate(stages[:-1]):
        inside, rows = size, []
        for age in range(ages):
            advanced, lost = int(inside * (0.05 + 0.02 * place)), int(inside * (0.02 + 0.01 * age))
            censored = int((inside - advanced - lost) * 0.05) if age < ages - 1 else inside - advanced - lost
            rows.append((stage, age, inside, advanced, lost, censored))
            inside -= advanced + lost + censored
        parts.append(pd.DataFrame(rows, columns=["stage", "age", "at_risk", "advanced", "lost", "censored"]))
    return StageHazards(frame=pd.concat(parts, ignore_index=True), stages=stages)


@settings(max_examples=60)
@given(st.lists(st.tuples(CHANCE, CHANCE), min_size=1, max_size=4), st.integers(0, 12), st.integers(0, 30))
def test_bands_agree_with_a_loop_over_ages(chances, age, more):
    leave, share = np.array(chances).T
    starts = 3 * np.arange(len(chances))
    got = exits_between(leave, share, starts=starts, age=[age], until=[age + more])
    inside, advanced, lost = 1.0, 0.0, 0.0
    for k in range(age, age + more):
        band = np.searchsorted(starts, k, side="right") - 1
        advanced += inside * leave[band] * share[band]
        lost += inside * leave[band] * (1 - share[band])
        inside *= 1 - leave[band]
    np.testing.assert_allclose([part[0] for part in got], [advanced, lost, inside], atol=1e-12)
    ever = exits_between(leave, share, starts=starts, age=[age], until=[np.inf])
    assert sum(part[0] for part in ever) == pytest.approx(1, abs=1e-12)


def test_many_counts_give_the_aalen_johansen_curve():
    """With a band for each age and 400,000 entrants the posterior is the curve, and its spread the standard error."""
    data = hazards(400_000, ages=6)
    fit = CompetingExits(min_exits=1).fit(data, seed=1)
    curves = incidence_curves(data).set_index(["stage", "state", "time"]).sort_index()
    found = fit.incidence(range(1, 7))
    for stage in ("Lead", "Demo"):
        for cause in ("advanced", "lost", "open"):
            ours, theirs = found.sel(stage=stage).sel(cause=cause), curves.loc[(stage, cause)]
            np.testing.assert_allclose(ours.point, theirs["share"], atol=1e-4)
            np.testing.assert_allclose(ours.sd, theirs["se"], rtol=0.06)


def test_shares_add_up_and_questions_agree():
    fit = CompetingExits().fit(hazards(600), seed=1, draws=100)
    found = fit.incidence([1, 4, 7, 20]).draws
    np.testing.assert_allclose(found.sum("cause"), 1, atol=1e-12)
    assert bool((found.sel(cause="advanced").diff("age") >= 0).all())
    ever, by_seven = fit.predict(), fit.predict(7)
    np.testing.assert_array_equal(found.sel(cause="advanced", age=7), by_seven.draws)
    for stage in ("Lead", "Demo"):
        np.testing.assert_allclose(fit.continue_from(stage, age=0).draws, ever.sel(stage=stage).draws, atol=1e-12)
        later = found.sel(stage=stage, age=4)
        whole = later.sel(cause="advanced") + later.sel(cause="open") * fit.continue_from(stage, age=4, horizon=3).draws
        np.testing.assert_allclose(whole, by_seven.sel(stage=stage).draws, atol=1e-12)
    won = fit.continue_from("Lead", age=[0, 5], to="won")
    np.testing.assert_allclose(won.draws.sel(age=0), ever.prod("stage").draws, atol=1e-12)
    assert won.description.startswith("chance of reaching Won eventually, of those still open in Lead")
    last = fit.continue_from("Lead", age=[200, 400]).draws  # beyond the last band the chance no longer depends on age
    np.testing.assert_allclose(last.isel(age=0), last.isel(age=1), atol=1e-12)


def test_simulated_exits_come_at_the_fitted_rate():
    """The mean over simulations is the prediction; seed by seed the shares differ."""
    data = hazards(3000)
    fit = CompetingExits().fit(data, seed=1)
    shares, unwatched = [], []
    for seed in range(40):
        again = fit.simulate(seed=seed)
        unwatched.append(again.frame.query("stage == 'Lead' and age < 9")["censored"].sum())
        curve = incidence_curves(again).query("stage == 'Lead' and state == 'advanced' and time <= 8")
        shares.append(curve["share"].iloc[-1])
    assert np.std(shares) > 0
    # as many cease to be watched before the last age as in the data
    assert np.mean(unwatched) == pytest.approx(data.frame.query("stage == 'Lead' and age < 9")["censored"].sum(), rel=0.05)
    expected = fit.predict(8).sel(stage="Lead").point
    assert np.mean(shares) == pytest.approx(expected, abs=4 * np.std(shares) / np.sqrt(40))


@pytest.mark.parametrize("least", [1, 25, 400])
def test_bands_hold_enough_exits_and_lose_none(least):
    data = hazards(3000, ages=40)
    table = AgeTable.of(data)
    bands = Bands.of(table, min_exits=least)
    per_stage = pd.Series(bands.left[0]).groupby(bands.stage)
    assert (per_stage.size() <= MOST_BANDS).all()
    assert bool((per_stage.min() >= np.minimum(least, per_stage.sum())).all())
    assert bands.left.sum() == table.exits.sum()
    assert bands.advanced.sum() == table.exits[0].sum()
    assert bands.at_risk.sum() == table.at_risk.sum()
    labels = bands.labels(table.stages)
    assert len(set(labels)) == len(labels)
    cells = bands.at(40)
    again = np.zeros(len(bands.stage), dtype=int)
    np.add.at(again, cells, table.at_risk[0])
    np.testing.assert_array_equal(again, bands.at_risk[0])


def test_mean_time_is_the_area_under_those_still_there():
    data = hazards(200_000, ages=6)
    fit = CompetingExits(min_exits=1).fit(data, seed=1)
    curves = incidence_curves(data)
    for stage in ("Lead", "Demo"):
        still = curves.query("stage == @stage and state == 'open'").set_index("time")["share"]
        found = mean_time(fit, within=6).sel(stage=stage)
        assert found.point == pytest.approx(1 + still.loc[1:5].sum(), abs=2e-3)
        assert found.unit == unit_of(data)
        assert mean_time(fit, within=1).sel(stage=stage).point == 1
    with pytest.raises(DataError, match="within: expected at least 1, found 0"):
        mean_time(fit, within=0)


def test_the_slow_stage_is_the_bottleneck_in_time():
    """Owners 0 to 4 leave each stage with chances 0.1 to 0.5 in Lead and all with 0.4 in Demo: only Lead can be sped up."""
    rows = []
    for owner in range(5):
        for stage, chance in (("Lead", 0.1 + 0.1 * owner), ("Demo", 0.4)):
            inside = 600 * (owner + 1)
            for age in range(12):
                gone = round(inside * chance)
                last = inside - gone if age == 11 else 0
                rows.append((f"o{owner}", stage, age, inside, gone // 2, gone - gone // 2, last))
                inside -= gone
    frame = pd.DataFrame(rows, columns=["owner", "stage", "age", "at_risk", "advanced", "lost", "censored"])
    data = StageHazards(frame=frame, stages=("Lead", "Demo", "Won"), by=("owner",))
    fit = CompetingExits(group="owner").fit(data, seed=1, draws=400, method="normal")
    times = mean_time(fit, within=12)
    assert times.sel(owner="o4").sel(stage="Lead").point == pytest.approx(sum(0.5**k for k in range(12)), rel=0.05)
    team = over_groups(fit, times)
    by_hand = np.average(times.draws.mean(("chain", "draw")).sel(stage="Lead"), weights=[1, 2, 3, 4, 5])
    assert team.sel(stage="Lead").point == pytest.approx(by_hand)
    answer = bottleneck(fit.predict(), criterion="time", time=team, benchmark=fastest_decile(times, group="owner"))
    assert answer.verdict == "Lead"
    assert answer.gain.unit == unit_of(data)
