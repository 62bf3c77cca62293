"""Crossed, pooled conversion at its edges: nothing but noise, one level, nobody or everybody won, somebody new, and equal people."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import betaln

from funnelstats.data.stages import StageCounts
from funnelstats.decisions.bottleneck import best_decile, bottleneck
from funnelstats.decisions.league import league_table
from funnelstats.errors import DataError, LeaveOneOutWarning
from funnelstats.inference.compare import compare_fits, loo
from funnelstats.inference.multilevel import Hyperpriors, crossed_density
from funnelstats.inference.priors import Prior
from funnelstats.models.exchangeable import BetaBinomial
from funnelstats.models.hierarchical import HierarchicalConversion
from funnelstats.models.pooling import CompletePooling, NoPooling
from funnelstats.models.trials import Trials

QUICK = {"draws": 300, "chains": 2, "tune": 300}
SAMPLE = ("chain", "draw")


def team(counts, steps=("Lead", "Won"), by=("owner",)):
    """Stage counts from {(labels): [entered first, reached second, ...]}."""
    rows = [{**dict(zip(by, labels, strict=True)), "stage": stage, "entered": reached}
            for labels, line in counts.items() for stage, reached in zip(steps, line, strict=True)]  # fmt: skip
    return StageCounts.of(pd.DataFrame(rows), by=list(by), stages=steps)


def spread(fit, group="owner"):
    return fit.to_datatree()["posterior"].to_dataset()[f"sd_{group}"]


@pytest.fixture(scope="module")
def noise():
    """Thirty equal agents with some 200 settled deals each, 63 % won: what a real team looked like whose agents did not differ."""
    rng = np.random.default_rng(8)
    deals = rng.integers(100, 350, 30)
    counts = team({(f"agent {i:02d}",): (n, rng.binomial(n, 0.63)) for i, n in enumerate(deals)})
    return HierarchicalConversion(groups="owner").fit(counts, seed=1, **QUICK)


def test_noise_is_shrunk_to_one_rate(noise):
    raw = noise.cells().wins[:, 0] / noise.cells().trials[:, 0]
    pooled = noise.predict().point.values[:, 0]
    assert pooled.std() < 0.35 * raw.std()
    assert float(spread(noise).mean()) < 0.1
    assert float(noise.shrinkage("owner").point.mean()) > 0.7
    assert np.ptp(pooled) < 0.03 < np.ptp(raw)


def test_equal_people_are_not_flagged(noise):
    league = league_table(noise.standardised_rates("owner"), noise.data, group="owner")
    assert set(league.frame["verdict"]) == {"not distinguishable"}
    assert league.frame["p_top"].max() < 0.6


def test_equal_people_are_hardly_ever_flagged():
    """Of eight worlds of five to forty equal people each, few or many leads, low or high rates: chance alone must not be named."""
    flagged, people = 0, 0
    for seed in range(8):
        rng = np.random.default_rng(100 + seed)
        size, rate = [(5, 0.1), (12, 0.5), (40, 0.03), (20, 0.3)][seed % 4]
        counts = team({(f"{i:02d}",): (n, rng.binomial(n, rate)) for i, n in enumerate(rng.integers(30, 600, size))})
        fit = HierarchicalConversion(groups="owner").fit(counts, seed=seed, **QUICK)
        verdicts = league_table(fit.standardised_rates("owner"), counts, group="owner").frame["verdict"]
        flagged, people = flagged + int((verdicts != "not distinguishable").sum()), people + size
    assert flagged <= 0.02 * people


def test_people_with_equal_counts_are_never_flagged():
    counts = team({(f"{i}",): (1000, 300) for i in range(10)})
    fit = HierarchicalConversion(groups="owner").fit(counts, seed=1, **QUICK)
    league = league_table(fit.standardised_rates("owner"), counts, group="owner")
    assert set(league.frame["verdict"]) == {"not distinguishable"}
    np.testing.assert_allclose(league.frame["rank"], 5.5, atol=0.8)


def test_one_who_is_better_is_flagged():
    counts = team({(name,): (400, won) for name, won in zip("ABCDEFGH", (200, 80, 84, 76, 80, 82, 78, 80), strict=True)})
    fit = HierarchicalConversion(groups="owner").fit(counts, seed=1, **QUICK)
    league = league_table(fit.standardised_rates("owner"), counts, group="owner")
    assert league.frame.loc["A", "verdict"] == "above the target"
    assert league.frame.index[0] == "A"


def test_one_level_only():
    fit = HierarchicalConversion(groups="owner").fit(team({("Ann",): (500, 150)}), seed=1, **QUICK)
    assert fit.diagnose().verdict != "PASS"
    assert "levels of owner 1" in str(fit.diagnose())
    known, new = fit.predict().sel(cell="Ann", stage="Lead"), fit.new_group("owner").sel(stage="Lead")
    assert (known.point, known.upper - known.lower < 0.1) == (pytest.approx(0.3, abs=0.02), True)
    assert new.upper - new.lower > 0.4  # nothing is known of others


def test_perfect_separation_is_wide_and_not_certain():
    counts = team({("Ann",): (4, 4), ("Bo",): (4, 0), ("Cy",): (40, 20), ("Dee",): (40, 18)})
    rates = HierarchicalConversion(groups="owner").fit(counts, seed=1, **QUICK).predict()
    ann, bo = (rates.sel(cell=name, stage="Lead") for name in ("Ann", "Bo"))
    assert 0.5 < ann.point < 0.97
    assert 0.03 < bo.point < 0.5
    assert ann.upper - ann.lower > 0.25
    assert bo.upper - bo.lower > 0.25


def test_nobody_won():
    fit = HierarchicalConversion(groups="owner").fit(
        team({("Ann",): (30, 0), ("Bo",): (50, 0), ("Cy",): (20, 0)}), seed=1, **QUICK
    )
    rates = fit.stage_rates("owner").sel(stage="Lead")
    assert np.all(rates.lower > 0)
    assert np.all((rates.upper > 0.005) & (rates.upper < 0.2))


@pytest.fixture(scope="module")
def crossed():
    """Twelve owners of two kinds by three channels, two steps; one owner has no leads at all."""
    rng = np.random.default_rng(2)
    counts = {}
    for i in range(12):
        for j, channel in enumerate(("ads", "fair", "web")):
            leads = 0 if i == 11 else int(rng.integers(20, 90))
            deals = rng.binomial(leads, (0.3, 0.5)[i % 2])
            counts[f"owner {i:02d}", channel] = (leads, deals, rng.binomial(deals, (0.2, 0.4, 0.6)[j]))
    data = team(counts, steps=("Lead", "Opportunity", "Won"), by=("owner", "channel"))
    return HierarchicalConversion(groups=("owner", "channel")).fit(data, seed=1, draws=500, chains=2, tune=500)


def test_somebody_unseen(crossed):
    new = [{"owner": "Zoe", "channel": "ads"}, {"owner": "Zoe", "channel": "web"}]
    with pytest.raises(DataError, match=r"owner: expected levels that were fitted, found \['Zoe'\]; pass new_group=True"):
        crossed.predict(new)
    with pytest.raises(DataError, match="channel: column expected"):
        crossed.predict({"owner": "owner 01"})
    seen = crossed.predict([{"owner": "owner 01", "channel": channel} for channel in ("ads", "web")])
    zoe = crossed.predict(new, new_group=True)
    assert np.all(zoe.sd > seen.sd)
    together = np.corrcoef(zoe.draws.stack(s=SAMPLE).transpose("cell", "stage", "s").values[:, 0])
    assert together[0, 1] > 0.9  # one Zoe in both channels, not two
    np.testing.assert_array_equal(zoe.draws, crossed.predict(new, new_group=True).draws)


def test_who_had_no_trial_is_the_population(crossed):
    """Owner 11 entered nothing: as uncertain as somebody new, and shrunk wholly."""
    idle = crossed.stage_rates("owner").sel(owner="owner 11")
    new = crossed.new_group("owner")
    np.testing.assert_allclose(idle.point, new.point, atol=0.04)
    np.testing.assert_allclose(idle.sd, new.sd, rtol=0.25)
    np.testing.assert_allclose(crossed.shrinkage("owner").draws.sel(owner="owner 11"), 1.0)
    assert float(crossed.shrinkage("owner").point.sel(owner="owner 00", stage="Lead")) < 0.5
    assert np.all(new.sd > crossed.population_rate().sd)


def test_step_rates_multiply_to_the_standardised_rate(crossed):
    for group in ("owner", "channel", None):
        steps, whole = crossed.stage_rates(group).draws, crossed.standardised_rates(group).draws
        np.testing.assert_allclose(steps.prod("stage"), whole, rtol=1e-12)


def test_standardising_is_an_average_over_the_mix(crossed):
    """Written out for one owner: every cell of the mix is given the owner's effect."""
    table = crossed.cells()
    share = pd.Series(table.entrants).groupby(np.array(table.labels["channel"])[table.level[1]]).sum() / table.entrants.sum()
    own = crossed.predict([{"owner": "owner 03", "channel": name} for name in share.index])
    expected = (own.draws.prod("stage").values * share.to_numpy()).sum(axis=-1)
    np.testing.assert_allclose(crossed.standardised_rates("owner").draws.sel(owner="owner 03"), expected, rtol=1e-12)


def test_checks_pass_on_the_models_own_data(crossed):
    again = crossed.model.fit(crossed.simulate(seed=5), seed=2, **QUICK)
    table = again.check(draws=300)
    assert table.loc[("Lead", "spread between owner"), "lower"] < table.loc[("Lead", "spread between owner"), "observed"]
    assert np.all(table["p"].between(0.02, 0.98))
    assert set(table.index.get_level_values("statistic")) == {"overall rate", "spread between owner", "spread between channel"}


def test_check_sees_what_the_model_leaves_out():
    """Channels differ and the model knows owners only: the repeated data, split by owner, are as expected; the prior's are not."""
    counts = team({(f"{i}",): (1000, won) for i, won in enumerate((20, 22, 18, 21))})
    prior = HierarchicalConversion(groups="owner").fit(counts, seed=1, method="prior", draws=500, chains=2)
    found = prior.check(draws=900).loc[("Lead", "overall rate")]
    assert found["p"] > 0.9
    assert found["lower"] < 0.2 < found["upper"]


def test_bottleneck_of_a_fit_is_that_of_its_rates(crossed):
    found = bottleneck(crossed)
    rates = crossed.stage_rates()
    by_hand = bottleneck(rates, benchmark=best_decile(crossed.stage_rates("owner"), group="owner"), name="x")
    pd.testing.assert_series_equal(found.probability, by_hand.probability)
    assert found.benchmark == "the best decile over owner"
    assert found.verdict == "Lead"  # owners differ at Lead only
    with pytest.raises(DataError, match="benchmark: expected an attainable value for every stage"):
        bottleneck(rates)


def test_two_equal_stages_are_each_the_bottleneck_half_the_time():
    rng = np.random.default_rng(3)
    shares = []
    for gap in (0.0, 0.05, 0.15):
        counts = {(f"{i}",): (800, round(800 * 0.5), round(400 * (0.5 - gap))) for i in range(8)}
        fit = HierarchicalConversion(groups="owner").fit(team(counts, steps=("A", "B", "C")), seed=int(rng.integers(99)), **QUICK)
        shares.append(bottleneck(fit, benchmark={"A": 0.55, "B": 0.55}).probability)
    assert shares[0]["A"] == pytest.approx(0.5, abs=0.12)
    assert shares[0]["B"] < shares[1]["B"] <= shares[2]["B"]
    assert shares[2]["B"] > 0.99


def test_counts_with_no_trial_and_other_wrong_input():
    young = StageCounts.of(pd.DataFrame({"owner": ["Ann", "Ann"], "stage": ["Lead", "Won"], "entered": [9, 0], "advanced": [0, 0],
                                         "lost": [0, 0], "open": [9, 0]}), by=["owner"])  # fmt: skip
    with pytest.raises(DataError, match="expected at least one trial in all, found none"):
        HierarchicalConversion(groups="owner").fit(young, seed=1)
    with pytest.raises(DataError, match=r"region: expected one of \['owner'\]"):
        HierarchicalConversion(groups=["owner", "region"]).fit(young, seed=1)
    with pytest.raises(DataError, match="groups: expected one column or more"):
        HierarchicalConversion(groups=[])


def test_the_density_has_the_slope_it_says(crossed):
    """Central differences; with and without centring, with correlation (owner) and without (channel)."""
    priors = Hyperpriors(average=Prior.of("normal", 0, 1.5), spread=Prior.of("half_normal", 1), correlation=2.0)
    written = crossed_density(crossed.cells().rows(), priors)
    assert (written.centring > 0).any()
    assert list(written.correlated) == [True, False]
    function = written.function()
    point = np.random.default_rng(1).normal(0, 0.4, written.starts[-1])
    step = 1e-5
    numeric = [(function(point + e)[0] - function(point - e)[0]) / (2 * step) for e in step * np.eye(len(point))]
    np.testing.assert_allclose(function(point)[1], numeric, rtol=1e-5, atol=1e-5)


def test_effects_are_centred_where_counts_tell_levels_apart():
    """Three channels known to a point or two are centred nearly in full, twenty equal owners not at all; a chain of either mixes."""
    priors = Hyperpriors(average=Prior.of("normal", 0, 1.5), spread=Prior.of("half_normal", 1), correlation=2.0)
    counts = {
        (f"{i:02d}", name): (300, round(300 * rate))
        for i in range(20)
        for name, rate in (("ads", 0.3), ("fair", 0.5), ("web", 0.6))
    }
    fit = HierarchicalConversion(groups=("owner", "channel")).fit(team(counts, by=("owner", "channel")), seed=1, **QUICK)
    owner, channel = crossed_density(fit.cells().rows(), priors).centring[:, 0]
    assert (owner, channel > 0.95) == (0.0, True)
    alike = {key: (300, 150) for key in counts}
    equal = HierarchicalConversion(groups=("owner", "channel")).fit(team(alike, by=("owner", "channel")), seed=1, method="prior")
    assert np.all(crossed_density(equal.cells().rows(), priors).centring == 0)
    assert fit.diagnose()["smallest bulk ESS"] > 100  # of 600 draws


# -- exchangeable groups -----------------------------------------------------------------------------------------------------------------


def test_equal_groups_are_pooled_nearly_whole():
    """Eight worlds of thirty equal agents with some 220 deals each. A prior without density at equal groups stops at two thirds."""
    shares, other = [], []
    for seed in range(8):
        rng = np.random.default_rng([44, seed])
        deals = rng.integers(100, 350, 30)
        trials = Trials.of(rng.binomial(deals, 0.63), deals)
        fit = BetaBinomial().fit(trials, seed=seed, draws=500, chains=2)
        shares.append(float(fit.shrinkage().point.mean()))
        narrow = BetaBinomial(concentration=Prior.of("pareto", 1, 1.5)).fit(trials, seed=seed, draws=500, chains=2)
        other.append(float(narrow.shrinkage().point.mean()))
        assert fit.rates().point.values.std() < 0.4 * trials.raw.std()
        assert fit.spread().point < 0.03
        kappa = fit.to_datatree()["posterior"].to_dataset()["concentration"]
        assert fit.concentration().point == float(kappa.median())
        assert {"mean", "spread"} <= set(fit.summary().index)
        assert "concentration" not in fit.summary().index
    assert np.mean(shares) > 0.8 > 0.75 > np.mean(other)


def test_the_grid_is_the_integral_over_the_spread_itself():
    """Twelve equal groups, where the concentration has no bound: Gauss-Legendre over (mean, kappa^(-1/2)), apart from this package."""
    wins, losses = (np.array(v)[:, None, None] for v in ((12, 9, 14, 11, 13, 8, 10, 12, 9, 15, 11, 10), [29] * 12))
    exact = BetaBinomial().fit(Trials.of(wins.ravel(), (wins + losses).ravel()), seed=1).exact(labels=["1"])
    nodes, weights = np.polynomial.legendre.leggauss(200)
    mean, s = (nodes[:, None] + 1) / 4, (nodes + 1) / 2  # all the mass lies below a mean of one half
    a, b = mean / s**2, (1 - mean) / s**2
    density = (betaln(a + wins, b + losses) - betaln(a, b)).sum(axis=0)
    mass = weights[:, None] * weights * np.exp(density - density.max())
    mass /= mass.sum()
    assert exact.loc["mean", "mean"] == pytest.approx((mass * mean).sum(), rel=1e-5)
    cumulative = np.cumsum(mass.sum(axis=0)) - mass.sum(axis=0) / 2
    for prob in (0.05, 0.5, 0.95):  # a small concentration is a large spread
        at = np.interp(1 / np.sqrt(float(exact.loc["concentration", prob])), s, cumulative)
        assert at == pytest.approx(1 - prob, abs=4e-4)
    rate = (mass * (a + wins[0]) / (a + b + wins[0] + losses[0])).sum()
    assert exact.loc["rate[1]", "mean"] == pytest.approx(rate, rel=1e-5)


def test_default_prior_is_uniform_in_the_spread():
    kappa = np.array([1.0, 3.0, 1e3, 1e9])
    np.testing.assert_allclose(BetaBinomial().concentration.log_density(kappa) + 1.5 * np.log(kappa), np.log(0.5), atol=1e-12)


# -- comparison --------------------------------------------------------------------------------------------------------------------------


def test_leave_one_out_against_refits():
    """Complete pooling without a group is a beta posterior from the others: the density of the group is exact."""
    from scipy.stats import betabinom

    trials = Trials.of([12, 9, 14, 11, 13, 8], 40)
    table = loo(CompletePooling().fit(trials, seed=1, draws=4000))
    others = trials.wins.sum() - trials.wins
    exact = betabinom.logpmf(trials.wins, 40, 1 + others, 1 + 200 - others)
    np.testing.assert_allclose(table["elpd"], exact, atol=0.01)
    assert table["reliable"].all()


def test_comparison_finds_pooling_where_groups_are_alike_and_groups_where_they_differ():
    rng = np.random.default_rng(6)
    for rates, first in ((np.full(40, 0.3), "complete"), (rng.beta(6, 14, 40), "partial")):
        trials = Trials.of(rng.binomial(60, rates), 60)
        fits = {"complete": CompletePooling().fit(trials, seed=1), "none": NoPooling().fit(trials, seed=1),
                "partial": BetaBinomial().fit(trials, seed=1)}  # fmt: skip
        table = compare_fits(fits)
        assert table.loc[first, "verdict"].startswith(("best", "tie"))
        assert table.loc["none", "verdict"].startswith("worse")
    with pytest.raises(DataError, match="expected the data of 'one', found other data"):
        compare_fits({"one": fits["none"], "two": NoPooling().fit(Trials.of([1, 2], 5), seed=1)})


def test_models_with_other_groups_are_compared_on_the_same_cells(crossed):
    """Channels matter at the second step: leaving them out foretells worse. Small cells pull hard, and that is said."""
    small = HierarchicalConversion(groups="owner").fit(crossed.data, seed=1, **QUICK)
    with pytest.warns(LeaveOneOutWarning, match="k-hat is above its limit in"):
        table = compare_fits({"owner": small, "owner and channel": crossed})
    assert table.index[0] == "owner and channel"
    assert table.loc["owner", "difference"] < -20
    assert table.loc["owner", "verdict"].startswith("worse")


def test_log_likelihood_is_that_of_the_rates(crossed):
    from scipy.stats import binom

    table, rates = crossed.cells(), crossed.predict().draws.values
    cell, step = np.nonzero(table.trials)
    expected = binom.logpmf(table.wins[cell, step], table.trials[cell, step], rates[:, :, cell, step])
    np.testing.assert_allclose(crossed.log_likelihood(), expected, rtol=1e-9, atol=1e-9)
