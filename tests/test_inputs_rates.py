"""What rates and comparisons refuse, and how they say it: every problem at once, with what was expected and found."""

import re

import pandas as pd
import pytest

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, ImmatureWarning
from funnelstats.estimate import NotIdentified
from funnelstats.interval import Interval
from funnelstats.models.comparison import compare
from funnelstats.models.rate_table import stage_rates
from funnelstats.models.rates import overall_rate, step_rates
from funnelstats.models.verdict import chance, in_words

FRAME = pd.DataFrame({"team": list("AABB"), "stage": ["Lead", "Won"] * 2, "entered": [70, 56, 80, 48]})
COUNTS = StageCounts.of(FRAME, by=["team"], source="teams.csv")


def test_a_wrong_comparison_lists_all_its_problems():
    with pytest.raises(DataError) as caught:
        compare(COUNTS, "owner", "A", "A", estimand="stp", stage="Demo")
    assert str(caught.value) == (
        "4 problems in a comparison in teams.csv\n"
        "  segment: expected one of the columns ['team'], found 'owner'; count with by=\"owner\"\n"
        "  b: expected another segment than a, found 'A' twice\n"
        "  estimand: expected one of from_start, step, found 'stp'\n"
        "  stage: expected one of ['Lead', 'Won'], found 'Demo'"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"a": "A", "b": "C"}, "b: expected one of ['A', 'B'], found 'C'"),
     ({"a": "A", "b": "B", "stage": "Lead"}, "stage: expected one of ['Won'], found 'Lead'"),
     ({"a": "A", "b": "B", "estimand": "step"}, "stage: expected one of ['Lead'], found None"),
     ({"a": "A", "b": "B", "estimand": "step", "stage": "Won"}, "stage: expected one of ['Lead'], found 'Won'"),
     ({"a": "A", "b": "B", "prob": 95}, "prob: expected a mass between 0 and 1"),
     ({"a": "A", "b": "B", "seed": -1}, "seed: expected a whole number of at least 0, found -1"),
     ({"a": "A", "b": "B", "draws": 0}, "draws: expected a whole number of at least 1, found 0")],
)  # fmt: skip
def test_a_comparison_says_what_it_expected(arguments, message):
    with pytest.raises(DataError, match=re.escape(message)):
        compare(COUNTS, "team", **arguments)


def test_draws_and_seed_are_whole_numbers_named_together():
    with pytest.raises(DataError) as caught:
        step_rates(COUNTS, seed=0.5, draws=True, chains=0)
    assert [problem.where for problem in caught.value.problems] == ["seed", "draws", "chains"]


def test_a_rule_for_draws_is_refused_for_counts():
    with pytest.raises(DataError, match="'hdi' is for draws, not for counts"):
        stage_rates(COUNTS, interval=Interval(kind="hdi"))


def test_counts_of_nobody_have_reasons():
    empty = StageCounts(frame=COUNTS.frame.iloc[:0], stages=COUNTS.stages, by=("team",))
    assert len(stage_rates(empty)) == 0
    for work in (step_rates, overall_rate):
        found = work(empty)
        assert isinstance(found, NotIdentified)
        assert found.reason == "nobody entered the funnel"
    none = StageCounts.of(FRAME.assign(entered=[70, 56, 0, 0]), by=["team"])
    found = compare(none, "team", "A", "B")
    assert isinstance(found, NotIdentified)
    assert found.reason == "nobody of B is in the denominator"


def test_the_counts_come_back_unchanged():
    before = COUNTS.frame.copy(deep=True)
    stage_rates(COUNTS)
    step_rates(COUNTS)
    compare(COUNTS, "team", "A", "B")
    pd.testing.assert_frame_equal(COUNTS.frame, before)


def test_a_warning_names_the_cells_and_points_at_the_caller():
    young = StageCounts.of(FRAME.assign(open=[14, 0, 2, 0]), by=["team"])
    with pytest.warns(
        ImmatureWarning, match=r"1 of 2 rates are immature \(over 5% .* perhaps young: the counts have no dates\)"
    ) as caught:
        stage_rates(young)
    assert [(len(caught), caught[0].filename)] == [(1, __file__)]


@pytest.mark.parametrize(("probability", "clear"), [(1.1, 0.95), (-0.1, 0.95), (0.5, 0.5), (0.5, 95)])
def test_a_verdict_needs_a_probability_and_a_threshold(probability, clear):
    with pytest.raises(DataError, match="a comparison in words"):
        in_words(probability, clear=clear)


def test_a_chance_is_never_written_as_certain():
    assert [chance(p) for p in (0, 0.004, 0.01, 0.5, 0.99, 0.996, 1)] == [
        "under 1%", "under 1%", "1%", "50%", "99%", "over 99%", "over 99%"]  # fmt: skip
