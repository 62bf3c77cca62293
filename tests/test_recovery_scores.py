"""Are known truths found again: coefficients, pooled levels, values of offers, and what a loan costs?"""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, ndtri

from funnelstats.data.cases import Cases
from funnelstats.decisions.credit import break_even_rate, credit_table, loss_given_default
from funnelstats.decisions.offers import rank_offers
from funnelstats.estimate import Estimate
from funnelstats.models.hierarchical_scores import HierarchicalScore
from funnelstats.models.scores import LogisticScore
from funnelstats.models.scoring import score_table

LEVELS = [f"L{place:02d}" for place in range(12)]
EFFECT = dict(zip(LEVELS, 0.8 * ndtri((np.arange(12) + 0.5) / 12), strict=True))


def many_levels(n, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"level": rng.choice(LEVELS, n), "noise": rng.choice(["a", "b", "c", "d"], n)})
    chance = expit(frame["level"].map(EFFECT))
    frame["yes"] = rng.random(n) < chance
    return Cases.of(frame, outcome="yes", features=["level", "noise"]), chance.to_numpy()


def test_coefficients_are_covered_as_often_as_said():
    truth, covered = {"x": 0.7, "kind[b]": -0.5}, []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({"x": rng.standard_normal(800), "kind": rng.choice(["a", "b"], 800, p=[0.6, 0.4])})
        frame["yes"] = rng.random(800) < expit(-0.8 + 0.7 * frame["x"] - 0.5 * (frame["kind"] == "b"))
        table = (
            LogisticScore().fit(Cases.of(frame, outcome="yes", features=["x", "kind"]), seed=1, draws=500, chains=1).odds_ratios()
        )
        scale = {"x": frame["x"].std(ddof=0), "kind[b]": 1.0}
        covered += [
            table.loc[name, "lower"] < np.exp(value * scale[name]) < table.loc[name, "upper"] for name, value in truth.items()
        ]
    assert 0.83 < np.mean(covered) < 0.97  # 100 intervals of 90%: the sd of their share is 3%


def test_pooling_beats_no_pooling_where_levels_are_many_and_cases_few():
    gains, sds = [], []
    for seed in range(8):
        learn, _ = many_levels(600, seed)
        test, chance = many_levels(4000, 100 + seed)
        pooled = HierarchicalScore().fit(learn, seed=1, draws=250, chains=2)
        plain = LogisticScore(least=1).fit(learn, seed=1, draws=10, chains=1)
        table = score_table({"pooled": pooled, "plain": plain, "truth": chance}, test, base=learn.outcome.mean())
        assert table["log_score"].idxmin() == "truth"
        gains.append(table.loc["plain", "log_score"] - table.loc["pooled", "log_score"])
        sds.append(pooled.spreads().point.to_series())
    assert np.mean(gains) > 2 * np.std(gains) / np.sqrt(len(gains))
    assert np.mean([sd["level"] for sd in sds]) == pytest.approx(np.std(list(EFFECT.values()), ddof=1), rel=0.25)
    assert np.mean([sd["noise"] for sd in sds]) < 0.35


def test_closed_form_agrees_with_the_sampler():
    learn, _ = many_levels(1500, 3)
    quick = HierarchicalScore().fit(learn, seed=1)
    slow = HierarchicalScore().fit(learn, seed=1, method="mcmc", draws=500, chains=4)
    assert (quick.diagnose().verdict, slow.diagnose().verdict != "FAIL") == ("PASS", True)
    new = learn.frame.drop_duplicates(["level", "noise"])
    one, two = (fit.scores(new)[["probability", "lower", "upper"]] for fit in (quick, slow))
    np.testing.assert_allclose(one, two, atol=0.02)
    np.testing.assert_allclose(quick.spreads().point, slow.spreads().point, rtol=0.15, atol=0.05)


def test_a_level_that_tells_the_outcome_without_exception_has_a_finite_score():
    learn, _ = many_levels(600, 5)
    frame = learn.frame.assign(yes=np.where(learn.frame["level"] == "L03", 0, learn.outcome))
    fit = HierarchicalScore().fit(Cases.of(frame, outcome="yes", features=["level"]), seed=1)
    row = fit.scores(pd.DataFrame({"level": ["L03"]})).iloc[0]
    assert 0 < row["lower"] < row["probability"] < row["upper"] < 0.25


def test_values_of_offers_are_covered():
    rates = {("s1", "A"): 0.2, ("s1", "B"): 0.1, ("s2", "A"): 0.15, ("s2", "B"): 0.15, ("s3", "A"): 0.05, ("s3", "B"): 0.12}
    worth, covered, first = {"A": 100.0, "B": 140.0}, [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({"kind": rng.choice(["s1", "s2", "s3"], 3000), "offer": rng.choice(["A", "B"], 3000)})
        frame["yes"] = rng.random(3000) < [rates[key] for key in zip(frame["kind"], frame["offer"], strict=True)]
        frame["paid"] = np.where(frame["yes"], rng.gamma(2, frame["offer"].map(worth) / 2), np.nan)
        cases = Cases.of(frame, outcome="yes", features=["kind"], segment="kind", offer="offer", amount="paid", currency="CNY")
        table = rank_offers(cases, seed=1, draws=250, chains=2)
        values = table.values.to_frame()
        covered += [values.loc[key, "lower"] < rate * worth[key[1]] < values.loc[key, "upper"] for key, rate in rates.items()]
        first.append(table.order().loc["s3", "first"])
    assert 0.78 < np.mean(covered) < 0.99  # 60 intervals, dependent within a world
    assert first == ["B"] * 10


def test_break_even_is_where_the_expected_profit_is_nought():
    rng = np.random.default_rng(1)
    default = Estimate.of(rng.beta(20, 180, 2000), description="PD")
    loss = Estimate.of(rng.beta(45, 55, 2000), description="LGD")
    rate = break_even_rate(default, loss, funding=0.02)
    p, lost, r = default.draws, loss.draws, rate.draws
    np.testing.assert_allclose((1 - p) * (1 + r) + p * (1 - lost), 1.02, rtol=1e-12)
    assert rate.point > (0.02 + default.point * loss.point) / (1 - default.point) - 1e-4  # the mean of the ratio is not below
    free = break_even_rate(Estimate.of(np.zeros(10), description="PD"), Estimate.of(np.ones(10), description="LGD"), funding=0.02)
    assert free.point == pytest.approx(0.02)


def test_expected_loss_adds_up_and_covers_the_true_one():
    covered = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({"kind": rng.choice(["x", "y"], 900), "lent": rng.gamma(4, 250, 900)})
        chance = np.where(frame["kind"] == "x", 0.05, 0.2)
        frame["bad"] = rng.random(900) < chance
        share = rng.beta(6, 6, 900)
        cases = Cases.of(frame, outcome="bad", features=["kind"], segment="kind", currency="EUR")
        bad = cases.frame["bad"] == 1
        loss = loss_given_default(frame["lent"][bad], (frame["lent"] * share)[bad], seed=1, draws=250, chains=2)
        fit = LogisticScore().fit(cases, seed=1, draws=250, chains=2)
        table = credit_table(fit, cases, loss=loss, exposure="lent", funding=0.01, charged=0.08)
        assert table.loc[["x", "y"], "expected_loss"].sum() == pytest.approx(table.loc["all", "expected_loss"], rel=1e-9)
        true = float((chance * frame["lent"]).sum() * 0.5)
        covered.append(table.loc["all", "expected_loss_lower"] < true < table.loc["all", "expected_loss_upper"])
        assert table.loc["x", "p_pays"] > table.loc["y", "p_pays"]
    assert np.mean(covered) > 0.5  # of ten intervals of 90%, fewer than six by chance once in seven hundred
