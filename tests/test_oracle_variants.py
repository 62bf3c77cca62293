"""Variants against closed forms and second routes: sums of beta functions, enumeration, statsmodels, R, simulation."""

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import binom
from statsmodels.stats.proportion import power_proportions_2indep, samplesize_proportions_2indep_onetail

from funnelstats.decisions.sample_size import sample_size
from funnelstats.decisions.variants import compare_variants, sample_ratio
from funnelstats.errors import DataError, SampleRatioWarning
from funnelstats.estimate import Estimate
from funnelstats.models.exchangeable import BetaBinomial
from funnelstats.models.pooling import NoPooling
from funnelstats.models.trials import Trials


def p_above(a1, b1, a2, b2):
    """P(second > first) of two beta rates with whole numbers, Miller (2015), Formulas for Bayesian A/B testing."""
    i = np.arange(a2)
    return float(np.exp(betaln(a1 + i, b1 + b2) - np.log(b2 + i) - betaln(1 + i, b2) - betaln(a1, b1)).sum())


def loss(a1, b1, a2, b2):
    """E(second - first)+, what choosing the first gives up: Stucchio (2015), by the same sums."""
    return a2 / (a2 + b2) * p_above(a1, b1, a2 + 1, b2) - a1 / (a1 + b1) * p_above(a1 + 1, b1, a2, b2)


@pytest.mark.parametrize("counts", [((20, 200), (30, 210)), ((3, 40), (1, 25)), ((500, 5000), (520, 5000))])
def test_two_variants_are_what_the_beta_sums_say(counts):
    found = compare_variants(dict(zip(("A", "B"), counts, strict=True)), min_effect=0.01, planned=None, seed=1, draws=25_000)
    (x, m), (y, n) = counts
    shapes = (1 + x, 1 + m - x, 1 + y, 1 + n - y)
    table = found.table()
    assert table.loc["B", "p_better"] == pytest.approx(p_above(*shapes), abs=0.005)
    assert table.loc["B", "p_best"] == table.loc["B", "p_better"]
    assert table.loc["A", "expected_loss"] == pytest.approx(loss(*shapes), rel=0.04)
    assert table.loc["B", "expected_loss"] == pytest.approx(loss(*shapes[2:], *shapes[:2]), rel=0.04)
    assert table.loc["A", "rate"] == pytest.approx(shapes[0] / (m + 2), abs=3e-4)


def test_variants_that_are_equal_share_the_first_place_and_none_is_chosen():
    found = compare_variants({name: (50, 500) for name in "ABCD"}, min_effect=0.01, planned="equal", seed=2)
    assert found.p_best.to_numpy() == pytest.approx([0.25] * 4, abs=0.03)
    assert found.p_best.sum() == pytest.approx(1.0)
    assert found.verdict != f"choose {found.leader}"
    assert found.uneven == pytest.approx(1.0)
    assert found.cautions == ()


def test_what_is_said_depends_on_the_least_effect_and_on_how_much_is_known():
    clear, tiny, few = (200, 2000), (210, 2000), (2, 20)
    ask = {"planned": "equal", "seed": 1}
    assert compare_variants({"old": clear, "new": (275, 2000)}, min_effect=0.01, **ask).verdict == "choose new"
    assert compare_variants({"old": clear, "new": (275, 2000)}, min_effect=0.04, **ask).verdict == "no clear difference"
    assert compare_variants({"old": clear, "new": (275, 2000)}, min_effect=0.08, **ask).verdict == "keep old"
    assert compare_variants({"old": clear, "new": tiny}, min_effect=0.03, **ask).verdict == "keep old"
    assert compare_variants({"old": few, "new": (4, 20)}, min_effect=0.01, **ask).verdict == "no clear difference"
    said = str(compare_variants({"old": few, "new": (4, 20)}, min_effect=0.01, **ask))
    assert said.startswith("no clear difference: new against old +9.")
    assert "percentage points (90% equal-tailed interval -" in said
    assert "chance" not in said
    with pytest.raises(TypeError, match="min_effect"):
        compare_variants({"old": clear, "new": tiny}, seed=1)


def test_the_best_of_many_is_pulled_back_and_seldom_chosen_where_nothing_differs():
    rng = np.random.default_rng(3)
    crowned = still = 0
    for seed in range(30):
        data = Trials.of(rng.binomial(400, 0.1, size=12), 400)
        ask = {"min_effect": 0.0, "planned": "equal", "seed": seed, "draws": 250}
        alone = compare_variants(data, model=NoPooling(), **ask)
        if alone.verdict.startswith("choose"):  # luck, for all rates are equal
            crowned += 1
            pooled = compare_variants(data, model=BetaBinomial(), **ask)
            still += pooled.verdict.startswith("choose")
            assert pooled.rates.point.max() < alone.rates.point.max()
    assert crowned >= 4
    assert still <= 1


def test_exchangeable_is_the_default_from_three_on():
    three = {"A": (10, 100), "B": (18, 100), "C": (12, 100)}
    assert compare_variants(three, min_effect=0.01, planned="equal", seed=1).prior == "exchangeable variants"
    assert (
        compare_variants(dict(list(three.items())[:2]), min_effect=0.01, planned="equal", seed=1).prior
        == "each variant on its own"
    )
    other = compare_variants(three, min_effect=0.01, planned="equal", control="B", seed=1)
    assert set(other.difference.draws["variant"].values) == {"A", "C"}
    np.testing.assert_allclose(
        other.difference.sel(variant="A").draws, other.rates.sel(variant="A").draws - other.rates.sel(variant="B").draws
    )
    np.testing.assert_allclose(
        other.ratio.draws.sel(variant="C") * other.rates.draws.sel(variant="B"), other.rates.draws.sel(variant="C")
    )


def test_a_split_that_was_not_kept_is_named_before_any_rate():
    # Kohavi, Tang & Xu (2020), Trustworthy Online Controlled Experiments: 821,588 and 815,482 of a planned half and half
    assert sample_ratio({"A": 821_588, "B": 815_482}) == pytest.approx(1.8e-6, rel=0.02)
    # 600 and 400 of half and half: 20 ** 2 / 10 = 40 on one degree, P = 2.54e-10
    assert sample_ratio({"A": 600, "B": 400}) == pytest.approx(2.54e-10, rel=0.005)
    assert sample_ratio({"A": 600, "B": 400}, {"A": 3, "B": 2}) == pytest.approx(1.0)
    with pytest.warns(SampleRatioWarning, match="600 : 400 is not the planned one"):
        found = compare_variants({"A": (60, 600), "B": (40, 400)}, min_effect=0.01, planned="equal", seed=1)
    assert "assignment or counting is at fault" in str(found)
    assert "No split was planned" in str(compare_variants({"A": (60, 600), "B": (40, 400)}, min_effect=0.01, seed=1))


@pytest.mark.parametrize(("low", "high", "power", "n"), [
    (0.5, 0.75, 0.9, 77), (0.075, 0.3, 0.8, 46), (0.1, 0.4, 0.8, 32), (0.125, 0.5, 0.8, 23), (0.075, 0.3, 0.9, 61),
    (0.1, 0.4, 0.9, 42), (0.125, 0.5, 0.9, 30),
], ids=lambda value: f"R power.prop.test {value}")  # fmt: skip
def test_the_size_for_a_power_is_that_of_r(low, high, power, n):
    found = sample_size(low, min_effect=high - low, power=power)
    assert found.n in (n, n + 1)  # where the reference rounds to the nearest, and this up
    assert found.achieved >= power


def test_the_power_is_that_of_statsmodels():
    for rate, effect in ((0.1, 0.02), (0.03, 0.006), (0.5, 0.05)):
        found = sample_size(rate, min_effect=effect)
        for n, power in found.ladder["achieved"].items():
            wanted = power_proportions_2indep(effect, rate, n, return_results=False)
            assert power == pytest.approx(wanted, abs=2e-3)
        one_tail = samplesize_proportions_2indep_onetail(effect, rate, 0.8, alpha=0.05)
        assert found.n == pytest.approx(one_tail, rel=0.01)
    drawn = Estimate.of(np.random.default_rng(1).beta(20, 180, 2000), description="baseline")
    assert sample_size(drawn, min_effect=0.02).achieved == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize(("rate", "effect"), [(0.5, 0.05), (0.3, 0.03)])
def test_the_better_of_two_gives_up_no_more_than_was_allowed_by_enumeration(rate, effect):
    n = sample_size(rate, min_effect=effect, criterion="loss").n
    x = np.arange(n + 1)

    def regret(gap):
        worse, better = binom.pmf(x, n, rate - gap / 2), binom.pmf(x, n, rate + gap / 2)
        joint = np.outer(worse, better)  # worse in rows
        wrong = np.tril(joint, -1).sum() + np.trace(joint) / 2
        return gap * wrong

    most = max(regret(gap) for gap in np.linspace(0.002, min(2 * rate, 0.9), 300))
    assert most == pytest.approx(effect, rel=0.06)
    fine, coarse = (sample_size(rate, min_effect=least, criterion="loss").n for least in (0.002, 0.004))
    assert fine / coarse == pytest.approx(4, rel=0.01)


def test_the_assurance_is_how_often_an_answer_is_clear():
    rng = np.random.default_rng(4)
    believed = rng.normal(0.03, 0.04, size=2000)
    found = sample_size(
        0.2, min_effect=0.01, criterion="assurance", power=0.7, effect=Estimate.of(believed, description="difference")
    )
    clear = 0
    for seed, gap in enumerate(believed[:120]):
        wins = rng.binomial(found.n, [0.2, np.clip(0.2 + gap, 0, 1)])
        one = compare_variants(
            {"A": (wins[0], found.n), "B": (wins[1], found.n)}, min_effect=0.01, planned="equal", seed=seed, draws=250
        )
        clear += one.verdict != "no clear difference"
    assert clear / 120 == pytest.approx(0.7, abs=0.12)  # 2.9 standard errors
    assert found.achieved == pytest.approx(0.7, abs=1e-3)
    assert found.total == 2 * found.n


def test_what_cannot_be_asked_is_said_all_at_once():
    with pytest.raises(DataError, match="3 problems") as caught:
        compare_variants({"A": (1, 10), "B": (0, 0)}, min_effect=-0.1, control="Z", seed=1)
    assert "expected trials of every variant, found none of ['B']" in str(caught.value)
    with pytest.raises(DataError, match="expected at least two variants"):
        compare_variants({"A": (1, 10)}, min_effect=0.01, seed=1)
    with pytest.raises(DataError, match="a positive share for each"):
        compare_variants({"A": (1, 10), "B": (1, 10)}, min_effect=0.01, planned={"A": 1}, seed=1)
    with pytest.raises(DataError, match="4 problems"):
        sample_size(1.2, min_effect=0.0, power=1.0, criterion="assurance")
    with pytest.raises(DataError, match='for "assurance", and only there'):
        sample_size(0.1, min_effect=0.01, effect=Estimate.of([0.1, 0.2], description="d"))
    sure = Estimate.of(np.full(100, 0.01), description="d")  # exactly the least effect: never clear
    with pytest.raises(DataError, match="expected a size that reaches 99%"):
        sample_size(0.1, min_effect=0.01, criterion="assurance", power=0.99, effect=sure)
