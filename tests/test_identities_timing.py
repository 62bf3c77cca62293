"""What must hold of every curve of time in stage, whatever the counts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funnelstats.data.crm import read_crm
from funnelstats.data.stages import StageHazards
from funnelstats.distributions.product_limit import Curves, bounds, first_at
from funnelstats.errors import DataError
from funnelstats.interval import Interval
from funnelstats.models.ages import AgeTable, pool
from funnelstats.models.arrival import time_to_stage
from funnelstats.models.timing import compare_times, incidence_curves, time_in_stage

ROW = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
ROWS = st.lists(ROW, min_size=1, max_size=12).filter(lambda rows: sum(map(sum, rows)) > 0)


def hazards_of(rows, *, stages=("Lead", "Won"), gap=1):
    """Counts of one stage from (advanced, lost, censored) at ages 0, gap, 2 gap, ..."""
    advanced, lost, censored = np.array(rows).T
    at_risk = (advanced + lost + censored)[::-1].cumsum()[::-1]
    frame = pd.DataFrame({"stage": stages[0], "age": gap * np.arange(len(rows)), "at_risk": at_risk, "advanced": advanced, "lost": lost,
                          "censored": censored})  # fmt: skip
    return StageHazards(frame=frame[at_risk > 0], stages=stages)


@settings(max_examples=50)
@given(ROWS)
def test_shares_add_up_and_one_cause_is_the_complement(rows):
    hazards = hazards_of(rows)
    curves = incidence_curves(hazards)
    assert np.allclose(curves.groupby("time")["share"].sum(), 1, atol=1e-12)
    assert curves[["share", "se", "lower", "upper"]].notna().all(axis=None)
    assert (curves["lower"] <= curves["share"] + 1e-12).all()
    assert (curves["share"] <= curves["upper"] + 1e-12).all()
    assert curves[["lower", "upper"]].stack().between(0, 1).all()
    both, only = AgeTable.of(hazards).rows(0, 0), incidence_curves(hazards_of([(a + b, 0, c) for a, b, c in rows]))
    one = only[only["state"] == "advanced"]
    whole = Curves.of(both[1], both[2].sum(axis=0))
    np.testing.assert_allclose(one["share"], 1 - whole.inside, atol=1e-12)
    np.testing.assert_allclose(one["se"], whole.inside_se, atol=1e-9)
    for way in (0, 1):  # the other exit is no censoring
        assert np.all(Curves.of(both[1], both[2]).left[way] <= 1 - Curves.of(both[1], both[2][way]).inside + 1e-12)


@settings(max_examples=50)
@given(ROWS, st.integers(2, 5))
def test_more_of_the_same_is_surer_and_empty_ages_change_nothing(rows, times):
    one, many = (
        incidence_curves(hazards_of(rows)),
        incidence_curves(hazards_of([(times * a, times * b, times * c) for a, b, c in rows])),
    )
    np.testing.assert_allclose(many["share"], one["share"], atol=1e-12)
    np.testing.assert_allclose(many["se"], one["se"] / np.sqrt(times), atol=1e-9)
    wide = incidence_curves(hazards_of(rows, gap=3))
    np.testing.assert_allclose(wide[["share", "se", "lower", "upper"]], one[["share", "se", "lower", "upper"]], atol=1e-12)


@settings(max_examples=50)
@given(ROWS)
def test_times_are_those_of_the_curves(rows):
    hazards = hazards_of(rows)
    table, curves = time_in_stage(hazards).set_index("until"), incidence_curves(hazards)
    still = curves[curves["state"] == "open"]
    assert table.loc["left", "share"] == pytest.approx(1 - still["share"].iloc[-1], abs=1e-12)
    assert table.loc["advanced", "share"] + table.loc["lost", "share"] == pytest.approx(table.loc["left", "share"], abs=1e-12)
    for until, row in table.iterrows():
        for name, level in (("median", 0.5), ("p90", 0.9)):
            if pd.isna(row[name]):
                assert row["note"], "a missing time has its reason"
            elif until == "left":
                assert row[name] == still[1 - still["share"] >= level - 1e-12]["time"].iloc[0]
            if not pd.isna(row[f"{name}_lower"]):
                assert row[f"{name}_lower"] <= row[name]
            if not pd.isna(row[f"{name}_upper"]):
                assert row[name] <= row[f"{name}_upper"]


def test_without_censoring_it_is_counting():
    """Everybody was watched to the end: the share is the count, its variance p (1 - p) / n, the median the middle one."""
    rows = [(3, 1, 0), (5, 0, 0), (2, 7, 0), (0, 4, 0), (1, 1, 0)]
    n, curves = 24, incidence_curves(hazards_of(rows))
    advanced = curves[curves["state"] == "advanced"]
    share = np.cumsum([row[0] for row in rows]) / n
    np.testing.assert_allclose(advanced["share"], share, atol=1e-12)
    np.testing.assert_allclose(advanced["se"], np.sqrt(share * (1 - share) / n), atol=1e-12)
    among = Curves.of(*AgeTable.of(hazards_of(rows)).rows(0, 0)[1:]).among_se[0]
    q = share / share[-1]  # given that 11 advanced, when they did so is binomial
    np.testing.assert_allclose(among, np.sqrt(q * (1 - q) / 11), atol=1e-12)
    times = np.repeat(np.arange(1, 6), [sum(row) for row in rows])
    assert time_in_stage(hazards_of(rows)).loc[0, "median"] == np.sort(times)[len(times) // 2 - 1]


def test_segments_added_up_are_the_whole():
    log = read_crm("bundled:crm_second")
    whole, parts = log.hazards(), log.hazards(by="owner")
    added = pool(parts)
    columns = ["stage", "age", "at_risk", "advanced", "lost", "censored"]
    pd.testing.assert_frame_equal(added.frame[columns], whole.frame[columns].reset_index(drop=True))
    pd.testing.assert_frame_equal(time_in_stage(parts, by=()), time_in_stage(whole))
    one = parts.frame["owner"].iloc[0]
    alone = StageHazards(frame=parts.frame[parts.frame["owner"] == one], stages=parts.stages, by=("owner",), window=parts.window)
    pd.testing.assert_frame_equal(time_in_stage(alone), time_in_stage(parts).query("owner == @one").reset_index(drop=True))
    again = pool(pool(parts, by=("owner",)), by="owner")
    assert again.by == ("owner",)
    assert again.frame["at_risk"].sum() == parts.frame["at_risk"].sum()


def test_time_to_a_stage_is_the_sum_of_the_times_before():
    """Two stages of known times: shares multiply, times convolve, and the first stage agrees with its own curve."""
    rng, parts = np.random.default_rng(4), []
    for stage, size in (("Lead", 300), ("Demo", 200)):
        age = rng.geometric(0.2 if stage == "Lead" else 0.1, size) - 1
        advanced = rng.random(size) < 0.6
        frame = pd.DataFrame({"age": age, "advanced": advanced, "lost": ~advanced}).groupby("age", as_index=False).sum()
        at_risk = (frame["advanced"] + frame["lost"])[::-1].cumsum()[::-1]
        parts.append(frame.assign(stage=stage, at_risk=at_risk, censored=0))
    hazards = StageHazards(frame=pd.concat(parts, ignore_index=True), stages=("Lead", "Demo", "Won"))
    table = time_to_stage(hazards, seed=1).set_index("stage")
    lead, demo = (part.loc[part["advanced"] > 0] for part in parts)
    sums = {}
    for a, n in zip(lead["age"], lead["advanced"], strict=True):  # the naive double loop
        for b, m in zip(demo["age"], demo["advanced"], strict=True):
            sums[a + b] = sums.get(a + b, 0) + n * m
    ages = sorted(sums)
    cumulative = np.cumsum([sums[age] for age in ages]) / sum(sums.values())
    assert table.loc["Won", "median"] == first_at(ages, cumulative, 0.5) + 1
    assert table.loc["Won", "p90"] == first_at(ages, cumulative, 0.9) + 1
    assert table.loc["Won", "share"] == pytest.approx(lead["advanced"].sum() / 300 * demo["advanced"].sum() / 200)
    alone = time_in_stage(hazards).query("stage == 'Lead' and until == 'advanced'").iloc[0]
    assert table.loc["Demo", "median"] == alone["median"] - 0.5
    assert (table["share_lower"] < table["share"]).all()
    assert (table["share"] < table["share_upper"]).all()
    pd.testing.assert_frame_equal(time_to_stage(hazards, seed=1), table.reset_index())


def test_a_rising_pace_shows_in_the_log_rank():
    slow, found = np.random.default_rng(3).geometric(0.1, 200), []
    for pace in (1.0, 1.5, 3.0):
        parts = []
        for name, times in (("slow", slow), ("fast", np.ceil(slow / pace).astype(int))):
            frame = pd.DataFrame({"age": times - 1, "advanced": 1}).groupby("age", as_index=False).sum()
            at_risk = frame["advanced"][::-1].cumsum()[::-1]
            parts.append(frame.assign(owner=name, stage="Lead", at_risk=at_risk, lost=0, censored=0))
        hazards = StageHazards(frame=pd.concat(parts, ignore_index=True), stages=("Lead", "Won"), by=("owner",))
        found.append(float(compare_times(hazards)["statistic"].iloc[0]))
    assert found[0] == pytest.approx(0, abs=1e-9)
    assert found[0] < found[1] < found[2]


def test_bounds_keep_their_mass_and_say_their_kind():
    hazards = hazards_of([(3, 2, 1), (4, 1, 3), (2, 2, 6)])
    narrow, wide = (incidence_curves(hazards, interval=Interval(prob=prob)) for prob in (0.5, 0.99))
    assert (wide["upper"] - wide["lower"] > narrow["upper"] - narrow["lower"]).all()
    assert set(narrow["interval"]) == {"50% log-log interval"}
    lower, upper = bounds([0.0, 1.0], [0.0, 0.0], 20, prob=0.95)
    np.testing.assert_allclose(
        [lower[1], upper[0]], [1 - 0.1611, 0.1611], atol=5e-5
    )  # Wilson for 0 of 20, Newcombe (1998), table I
    assert (lower[0], upper[1]) == (0, 1)


def test_what_cannot_be_answered_is_said():
    nobody = time_in_stage(hazards_of([(0, 0, 9)]))
    assert nobody["median"].isna().all()
    assert nobody["note"].tolist() == ["nobody left", "nobody advanced", "nobody was lost"]
    early = time_in_stage(hazards_of([(1, 1, 8), (0, 1, 9)])).set_index("until")
    assert "median not reached" in early.loc["left", "note"]
    assert "are still open then" in early.loc["advanced", "note"]
    frame = hazards_of([(1, 1, 8)], stages=("Lead", "Demo", "Won"))
    blank = time_in_stage(frame).set_index("stage")
    assert blank.loc["Demo", "note"].tolist() == ["nobody was watched for a whole unit"] * 3
    arrivals = time_to_stage(frame, seed=1).set_index("stage")
    assert arrivals.loc["Won", "note"] == "nobody got there"
    assert pd.isna(arrivals.loc["Won", "median"])
    assert "still open in Lead" in arrivals.loc["Demo", "note"]
    for call, words in (
        (lambda: time_in_stage(frame, by=("owner",)), "owner: expected one of"),
        (lambda: incidence_curves(frame.frame), "expected StageHazards, found DataFrame"),
        (lambda: compare_times(frame), "expected two segments or more"),
        (lambda: compare_times(frame, until="won"), "expected one of left, advanced, lost"),
        (lambda: time_in_stage(StageHazards(frame=frame.frame.head(0), stages=frame.stages)), "watched for at least one unit"),
        (lambda: time_to_stage(frame, seed=1, draws=3), "expected 20 or more"),
    ):
        with pytest.raises(DataError, match=words):
            call()
