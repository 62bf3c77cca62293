"""What must hold for rates whatever the counts: algebra, order, symmetry, reproducible draws, coverage."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from funnelstats.data.stages import StageCounts
from funnelstats.errors import ImmatureWarning
from funnelstats.estimate import NotIdentified
from funnelstats.interval import Interval
from funnelstats.models.comparison import compare
from funnelstats.models.rate_table import rate_table, stage_rates
from funnelstats.models.rates import decided_rate, overall_rate, step_rates
from funnelstats.models.verdict import in_words
from funnelstats.window import ObservationWindow

COUNT_KINDS = ("wilson", "jeffreys", "agresti-coull", "clopper-pearson", "wilson-corrected", "mid-p", "likelihood-ratio")
STAGES = ("Lead", "Demo", "Won")


def funnel(*segments, by="owner", window=None, maturing=0):
    """One segment for each (entered, advanced, lost, advanced, lost); the rest is open, ``maturing`` of it young."""
    rows = []
    for place, (entered, to_demo, lost, won, lost_demo) in enumerate(segments):
        for stage, n, k, gone in zip(STAGES, (entered, to_demo, won), (to_demo, won, 0), (lost, lost_demo, 0), strict=True):
            still = n - k - gone if stage != "Won" else 0
            rows.append((f"s{place}", stage, n, k, gone, still, min(maturing, still)))
    frame = pd.DataFrame(rows, columns=[by, "stage", "entered", "advanced", "lost", "open", "maturing"])
    return StageCounts(frame=frame, stages=STAGES, by=(by,), window=window)


@st.composite
def segments(draw):
    entered = draw(st.integers(1, 500))
    to_demo = draw(st.integers(0, entered))
    won = draw(st.integers(0, to_demo))
    return entered, to_demo, draw(st.integers(0, entered - to_demo)), won, draw(st.integers(0, to_demo - won))


@given(st.lists(segments(), min_size=1, max_size=4))
@settings(max_examples=20)
def test_overall_rate_is_the_product_of_the_steps_and_the_last_share_from_the_start(parts):
    table = rate_table(funnel(*parts))
    for _, rows in table.groupby("owner"):
        rows = rows.set_index("stage")
        steps = rows.loc[["Lead", "Demo"], "step_rate"]
        won_of_first = rows.loc["Won", "entered"] / rows.loc["Lead", "entered"]
        assert rows.loc["Won", "from_start_rate"] == pytest.approx(won_of_first, abs=1e-12)
        if rows.loc["Demo", "entered"]:
            assert float(steps.prod()) == pytest.approx(won_of_first, abs=1e-12)
        else:
            assert steps.isna().tolist() == [False, True]
            assert rows.loc["Demo", "note"] == "nobody entered"
        assert pd.isna(rows.loc["Won", "step_rate"])
        assert rows.loc["Won", "note"]


@given(st.lists(segments(), min_size=1, max_size=3), st.floats(0.05, 0.99), st.sampled_from(COUNT_KINDS))
@settings(max_examples=20)
def test_bounds_surround_the_rate_inside_zero_and_one(parts, prob, kind):
    table = rate_table(funnel(*parts), interval=Interval(prob=prob, kind=kind))
    for name in ("step", "from_start", "decided"):
        known = table[table[f"{name}_rate"].notna()]
        if kind == "jeffreys":  # a posterior's tails may leave out an extreme share k / n
            known = known[known[f"{name}_rate"].between(0.02, 0.98) & (prob > 0.5)]
        lower, rate, upper = (known[f"{name}_{part}"].astype(float) for part in ("lower", "rate", "upper"))
        assert ((lower >= 0) & (lower <= rate + 1e-12) & (rate <= upper + 1e-12) & (upper <= 1)).all()


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from(COUNT_KINDS))
def test_bounds_are_mirrored_when_success_and_failure_change_places(counts, kind):
    k, n = counts
    rule = Interval(prob=0.9, kind=kind)
    lower, upper = rule.of_counts(k, n)
    assert rule.of_counts(n - k, n) == pytest.approx((1 - upper, 1 - lower), abs=1e-9)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from(COUNT_KINDS))
def test_bounds_widen_with_the_mass(counts, kind):
    bounds = [Interval(prob=prob, kind=kind).of_counts(*counts) for prob in (0.5, 0.8, 0.9, 0.95, 0.99)]
    for (low, high), (wider_low, wider_high) in itertools.pairwise(bounds):
        assert wider_low <= low + 1e-12
        assert wider_high >= high - 1e-12
        assert wider_high - wider_low > high - low


sides = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n)))


@given(sides, sides)
@settings(max_examples=80)
def test_two_segments_turned_round_turn_difference_and_ratio_round(a, b):
    difference, ratio = Interval(kind="newcombe"), Interval(kind="koopman")
    low, high = difference.of_two_counts(*a, *b)
    assert difference.of_two_counts(*b, *a) == pytest.approx((-high, -low), abs=1e-9)
    assert low - 1e-12 <= a[0] / a[1] - b[0] / b[1] <= high + 1e-12
    low, high = ratio.of_two_counts(*a, *b)
    assert ratio.of_two_counts(*b, *a) == pytest.approx((1 / high, 1 / low), rel=1e-6)
    assert low < (a[0] / a[1]) / (b[0] / b[1]) < high


@given(sides, sides)
@settings(max_examples=40)
def test_koopman_bounds_are_where_the_score_test_just_rejects(a, b):
    (x, m), (y, n) = a, b
    for ratio in Interval(prob=0.9, kind="koopman").of_two_counts(x, m, y, n):
        grid = np.linspace(1e-6, min(1, 1 / ratio) - 1e-9, 40001)  # rate of b; the likelihood's best under this ratio
        loglik = stats.binom.logpmf(x, m, ratio * grid) + stats.binom.logpmf(y, n, grid)
        q = grid[np.argmax(loglik)]
        p = ratio * q
        score = (x - m * p) ** 2 / (m * p * (1 - p)) + (y - n * q) ** 2 / (n * q * (1 - q))
        if 0.01 < q < 0.99 * min(1, 1 / ratio):  # away from the edge, where a grid is too coarse
            assert score == pytest.approx(stats.chi2.ppf(0.9, 1), rel=0.02)


def test_overall_draws_are_the_product_of_the_step_draws():
    counts = funnel((400, 200, 200, 50, 150), (300, 30, 270, 3, 27))
    steps, overall = step_rates(counts, seed=5), overall_rate(counts, seed=5)
    np.testing.assert_array_equal(steps.prod("stage").draws.values, overall.draws.values)
    assert overall.point.sel(owner="s0").item() == 50 / 400
    assert overall.draws.sel(owner="s0").mean().item() == pytest.approx(50 / 400, abs=0.005)


def test_draws_follow_the_jeffreys_posterior():
    steps = step_rates(funnel((40, 12, 28, 3, 9)), seed=1, draws=20000)
    for stage, k, n in (("Lead", 12, 40), ("Demo", 3, 12)):
        draws = steps.sel(owner="s0", stage=stage).draws.values.ravel()
        assert stats.kstest(draws, stats.beta(k + 0.5, n - k + 0.5).cdf).statistic < 1.63 / np.sqrt(20000)  # 1 % level


def test_decided_rate_counts_losses_of_every_stage():
    counts = funnel((100, 60, 20, 12, 28), window=ObservationWindow.of("2026-06-30"))
    rate = decided_rate(counts)
    assert rate.sel(owner="s0").point == 12 / (12 + 20 + 28)
    assert rate.description.startswith("win rate of decided")
    assert rate.draws.mean().item() == pytest.approx(12.5 / 61, abs=0.005)


def test_the_table_tells_a_rate_of_the_decided_from_a_rate_of_all():
    row = rate_table(funnel((100, 60, 20, 12, 28))).set_index("stage").loc["Lead"]
    assert (row["step_rate"], row["decided_rate"]) == (60 / 100, 60 / 80)
    assert (row["step_of"], row["decided_of"]) == ("entered Lead", "advanced or lost from Lead")
    bounds = Interval(kind="wilson").of_counts(60, 80)
    assert (row["decided_lower"], row["decided_upper"]) == bounds


def test_the_same_counts_give_the_same_draws_and_other_counts_give_independent_ones():
    first, again = funnel((400, 200, 200, 50, 150)), funnel((400, 200, 200, 50, 150))
    other = funnel((400, 200, 200, 51, 149))
    draws = [step_rates(c, seed=3).draws.values for c in (first, again, other)]
    np.testing.assert_array_equal(draws[0], draws[1])
    same_step = [part[..., 0].ravel() for part in draws]  # Lead has equal counts in both funnels
    assert abs(np.corrcoef(same_step[0], same_step[2])[0, 1]) < 4 / np.sqrt(4000)
    assert not np.array_equal(step_rates(first, seed=4).draws.values, draws[0])


def test_a_stage_nobody_entered_has_a_reason_and_no_number():
    counts = funnel((50, 0, 50, 0, 0), (80, 20, 60, 5, 15))
    steps = step_rates(counts)
    assert isinstance(steps, NotIdentified)
    assert "s0 | Demo" in steps.reason
    overall = overall_rate(counts).sel(owner="s0")
    assert (overall.point, overall.lower) == (0.0, 0.0)
    assert overall.upper == pytest.approx(Interval(kind="wilson").of_counts(0, 50)[1])
    # nothing is known of the second step, so the draws claim no more than the first step tells
    lead = stats.beta(0.5, 50.5)
    assert np.quantile(overall.draws.values, 0.95) == pytest.approx(lead.ppf(0.95), rel=0.1)
    empty = funnel((0, 0, 0, 0, 0), (80, 20, 60, 5, 15))
    assert isinstance(overall_rate(empty), NotIdentified)
    assert isinstance(decided_rate(empty), NotIdentified)


def test_only_a_mature_share_is_called_a_conversion_rate():
    mature = stage_rates(funnel((100, 60, 38, 12, 46), maturing=0)).set_index("stage")
    assert mature.loc["Lead", "step_name"] == "conversion rate"
    assert mature.loc["Won", "from_start_name"] == "reached"
    young = funnel((100, 60, 40, 12, 28), window=ObservationWindow.of("2026-06-30"), maturing=20)
    with pytest.warns(ImmatureWarning, match=r"1 of 2 rates are immature") as caught:
        table = stage_rates(young).set_index("stage")
    assert len(caught) == 1
    assert table["step_name"].tolist() == ["conversion rate", "advanced so far", ""]
    assert table["from_start_name"].tolist() == ["reached", "reached", "reached so far"]
    assert table["decided_name"].tolist() == ["advanced, of decided", "win rate of decided", ""]
    with pytest.warns(ImmatureWarning):
        assert overall_rate(young).description == "Won so far, of all who entered Lead, as of 2026-06-30"
    assert overall_rate(funnel((100, 60, 40, 12, 48))).description == "Won, of all who entered Lead"


@pytest.mark.parametrize("true", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("n", [50, 400])
def test_wilson_covers_at_its_mass_averaged_near_the_rate(true, n):
    """Exact coverage oscillates with n and rate; its mean over a neighbourhood stays in 90 % +- 1.5 points (n p >= 5)."""
    near = np.linspace(0.8 * true, 1.2 * true, 41)
    lower, upper = Interval(prob=0.9, kind="wilson").of_counts(np.arange(n + 1), n)
    inside = (lower[:, None] <= near) & (near <= upper[:, None])
    coverage = (stats.binom.pmf(np.arange(n + 1)[:, None], n, near) * inside).sum(axis=0).mean()
    assert coverage == pytest.approx(0.9, abs=0.015)


def test_simulated_funnels_have_their_rates_inside_at_the_right_share():
    """2,000 simulated funnels; the band is four standard errors of a 90 % share, 4 * sqrt(.09 / 2000) = .027."""
    rng, replicates, hits = np.random.default_rng(20260630), 2000, np.zeros(3)
    truth = (0.4, 0.25, 0.1)
    to_demo = rng.binomial(500, truth[0], replicates)
    won = rng.binomial(to_demo, truth[1])
    counts = funnel(*((500, d, 500 - d, w, d - w) for d, w in zip(to_demo, won, strict=True)))
    steps, overall = step_rates(counts, draws=2), overall_rate(counts, draws=1000)
    for place, (estimate, label) in enumerate([(steps, {"stage": "Lead"}), (steps, {"stage": "Demo"}), (overall, {})]):
        lower, upper = estimate.lower.sel(label), estimate.upper.sel(label)
        hits[place] = ((lower <= truth[place]) & (truth[place] <= upper)).mean()
    assert hits == pytest.approx([0.9] * 3, abs=0.027)
    drawn = overall.with_interval(kind="equal-tailed")
    assert ((drawn.lower <= truth[2]) & (truth[2] <= drawn.upper)).mean().item() == pytest.approx(0.9, abs=0.027)


# -- comparisons ---------------------------------------------------------------------------------------------------
def test_a_comparison_turned_round_says_the_opposite():
    counts = funnel((400, 200, 200, 90, 110), (300, 100, 200, 20, 80))
    one, other = compare(counts, "owner", "s0", "s1"), compare(counts, "owner", "s1", "s0")
    assert (one.verdict, other.verdict) == ("higher", "lower")
    assert one.difference.point == -other.difference.point == 90 / 400 - 20 / 300
    assert one.probability_higher == pytest.approx(1 - other.probability_higher, abs=1e-12)
    assert (one.wins, one.trials) == ((90, 20), (400, 300))
    assert one.expected_loss == other.expected_loss[::-1]
    assert one.table().loc[3, "value"] == pytest.approx((90 / 400) / (20 / 300))


def test_probability_of_a_comparison_is_that_of_the_two_posteriors():
    frame = pd.DataFrame({"team": ["A", "A", "B", "B"], "stage": ["Lead", "Won"] * 2, "entered": [50, 20, 60, 18]})
    found = compare(StageCounts.of(frame, by=["team"]), "team", "A", "B", draws=40000)
    grid = np.linspace(0, 1, 20001)
    a, b = stats.beta(20.5, 30.5), stats.beta(18.5, 42.5)
    exact = np.trapezoid(a.pdf(grid) * b.cdf(grid), grid)
    assert found.probability_higher == pytest.approx(exact, abs=4 * np.sqrt(0.25 / 40000))
    assert found.verdict == "no clear difference"
    loss = np.trapezoid(b.cdf(grid) * a.sf(grid), grid)  # E[max(a - b, 0)]
    assert found.expected_loss[1] == pytest.approx(loss, rel=0.03)


def test_a_direction_is_named_only_with_draws_and_interval_agreed():
    found = compare(funnel((158, 80, 78, 0, 80), (524, 200, 324, 9, 191)), "owner", "s0", "s1")
    assert found.probability_higher < 0.05
    assert found.difference.upper > 0
    assert found.verdict == "no clear difference"
    assert [in_words(p) for p in (0.0, 0.05, 0.051, 0.949, 0.95, 1.0)] == [
        "lower", "lower", "no clear difference", "no clear difference", "higher", "higher"]  # fmt: skip


def test_too_few_are_not_compared_and_a_ratio_to_none_has_a_reason():
    found = compare(funnel((9, 9, 0, 9, 0), (300, 100, 200, 0, 100)), "owner", "s0", "s1")
    assert found.verdict == "too few to compare"
    assert "9 of s0, 300 of s1" in str(found)
    assert isinstance(found.ratio, NotIdentified)
    assert pd.isna(found.table().loc[3, "value"])
    assert "nobody of s1 got there" in found.table().loc[3, "of"]


def test_a_comparison_of_a_stage_on_the_way_counts_who_reached_it():
    counts = funnel((400, 200, 200, 90, 110), (300, 100, 200, 20, 80))
    found = compare(counts, "owner", "s0", "s1", stage="Demo")
    assert (found.wins, found.trials) == ((200, 100), (400, 300))
    assert found.rates[0].draws.mean().item() == pytest.approx(200 / 400, abs=0.005)
    assert found.difference.draws.mean().item() == pytest.approx(200 / 400 - 100 / 300, abs=0.005)


def test_a_comparison_of_survivors_and_of_unequal_age_says_so():
    old = funnel((400, 200, 200, 90, 110), (300, 100, 200, 20, 80))
    step = compare(old, "owner", "s0", "s1", estimand="step", stage="Demo")
    assert (step.wins, step.trials) == ((90, 20), (200, 100))
    assert any("got as far as Demo" in caution for caution in step.cautions)
    assert not compare(old, "owner", "s0", "s1").cautions
    young = funnel((400, 200, 200, 90, 110), (300, 100, 100, 20, 80), maturing=100)
    with pytest.warns(ImmatureWarning):
        found = compare(young, "owner", "s0", "s1")
    assert found.cautions == ("s1 is immature and s0 is not, so the comparison is biased against s1",)
    with pytest.warns(ImmatureWarning):
        assert "biased against s1" in compare(young, "owner", "s1", "s0").cautions[0]
    assert "so far" in found.estimand
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(young, "owner", "s0", "s1", estimand="step", stage="Demo")  # the young ones have not come so far


def test_a_comparison_adds_up_what_it_is_not_about():
    frame = funnel((400, 200, 200, 90, 110), (300, 100, 200, 20, 80)).frame
    doubled = pd.concat([frame.assign(region="N"), frame.assign(region="S")]).sort_values(["owner", "region"], kind="stable")
    counts = StageCounts(frame=doubled.reset_index(drop=True), stages=STAGES, by=("owner", "region"))
    assert compare(counts, "owner", "s0", "s1").trials == (800, 600)
    assert compare(counts, "region", "N", "S").difference.point == 0
