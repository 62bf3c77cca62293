"""What must hold of scores and offers whatever the data: sums that agree, a second route to the same number, limits."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import mannwhitneyu

from funnelstats.data.cases import Cases
from funnelstats.decisions.exploration import simulate_exploration
from funnelstats.decisions.offers import rank_offers
from funnelstats.models.design import Design
from funnelstats.models.hierarchical_scores import HierarchicalScore
from funnelstats.models.scores import LogisticScore
from funnelstats.models.scoring import area, reliability_table, score_table
from funnelstats.models.situations import Situations


def made(n=3000, seed=1, **more):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "job": rng.choice(["clerk", "nurse", "cook"], n, p=[0.5, 0.3, 0.2]),
            "visits": rng.poisson(2, n),
            "home": rng.random(n) < 0.4,
        }
    )
    chance = expit(-1.5 + 0.4 * (frame["visits"] - 2) + 0.8 * (frame["job"] == "nurse") - 0.5 * frame["home"])
    frame["bought"] = rng.random(n) < chance
    return Cases.of(frame, outcome="bought", features=["job", "visits", "home"], **more), chance.to_numpy()


CASES, CHANCE = made()
FIT = LogisticScore().fit(CASES, seed=1)


def test_counted_by_situation_is_the_same_fit_as_row_by_row():
    import statsmodels.formula.api as smf

    frame = CASES.frame.assign(
        home=CASES.frame["home"].astype(int),
        z=(CASES.frame["visits"] - CASES.frame["visits"].mean()) / CASES.frame["visits"].std(ddof=0),
    )
    rows = smf.logit("bought ~ z + C(job, Treatment('clerk')) + home", frame).fit(disp=0)
    ours = FIT.odds_ratios()["odds_ratio"]
    assert len(FIT.data.trials) < 80
    np.testing.assert_allclose(np.log(ours["visits"]), rows.params["z"], rtol=1e-6)
    np.testing.assert_allclose(np.log(ours["job[nurse]"]), rows.params["C(job, Treatment('clerk'))[T.nurse]"], rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(FIT.covariance[1, 1]), rows.bse["C(job, Treatment('clerk'))[T.cook]"], rtol=0.3)
    at = FIT.data.design.names.index("visits")
    np.testing.assert_allclose(np.sqrt(FIT.covariance[at, at]), rows.bse["z"], rtol=1e-5)


def test_mean_score_is_the_share_of_yes_where_it_was_fitted():
    assert FIT.scores(CASES)["probability"].mean() == pytest.approx(CASES.outcome.mean(), abs=1e-8)
    by_job = FIT.mean_probability(CASES, by="job").point.to_series()
    raw = CASES.frame.groupby("job")["bought"].mean()
    np.testing.assert_allclose(by_job, raw, atol=2e-3)  # score equations hold at the maximum; draws scatter about it


def test_table_and_draws_of_a_score_agree():
    new = CASES.frame.iloc[:30]
    table, draws = FIT.scores(new), FIT.predict(new)
    np.testing.assert_allclose(table["probability"], draws.point, atol=0.003)
    np.testing.assert_allclose(table["lower"], draws.lower, atol=0.006)
    np.testing.assert_allclose(table["upper"], draws.upper, atol=0.006)


def test_order_of_rows_and_a_repeated_fit_change_nothing():
    other = CASES.where(np.random.default_rng(2).permutation(len(CASES.frame)))
    again = LogisticScore().fit(other, seed=1)
    np.testing.assert_allclose(again.mean, FIT.mean, atol=1e-10)
    np.testing.assert_array_equal(LogisticScore().fit(CASES, seed=1).predict().draws, FIT.predict().draws)


def test_design_reads_new_rows_by_the_old_rule():
    design = Design.of(CASES.frame, ["job", "visits"], banded=["visits"], least=5)
    alone = design.rows(CASES.frame.iloc[[7]])
    np.testing.assert_array_equal(alone[0], design.rows(CASES.frame)[7])
    assert design.rows(pd.DataFrame({"job": ["pilot"], "visits": [2]}))[0, 1:3].tolist() == [0, 0]
    counted = Situations.of(CASES, design)
    assert (counted.trials.sum(), counted.wins.sum()) == (len(CASES.frame), CASES.outcome.sum())
    assert len(counted.trials) == len(np.unique(design.codes(CASES.frame), axis=0))


def test_area_is_the_statistic_of_mann_and_whitney():
    chance = np.round(CHANCE, 1)  # with ties
    found = area(chance, CASES.outcome)
    yes, no = chance[CASES.outcome == 1], chance[CASES.outcome == 0]
    assert found.point == pytest.approx(mannwhitneyu(yes, no).statistic / (len(yes) * len(no)), abs=1e-12)
    wins = (yes[:, None] > no) + 0.5 * (yes[:, None] == no)  # DeLong's components, written out
    sd = np.sqrt(wins.mean(axis=1).var(ddof=1) / len(yes) + wins.mean(axis=0).var(ddof=1) / len(no))
    assert found.sd == pytest.approx(sd, rel=1e-10)
    turned = area(-chance, CASES.outcome)
    assert turned.point == pytest.approx(1 - found.point, abs=1e-12)
    assert turned.sd == pytest.approx(found.sd, rel=1e-10)


def test_truth_is_calibrated_and_beats_any_other_score():
    cases, chance = made(20_000, seed=5)
    table = score_table({"truth": chance, "too bold": expit(2 * np.log(chance / (1 - chance))), "too high": expit(np.log(chance / (1 - chance)) + 1)},
                        cases, base=cases.outcome.mean())  # fmt: skip
    assert table["log_score"].idxmin() == table["brier"].idxmin() == "truth"
    assert table.loc["truth", "slope_lower"] < 1 < table.loc["truth", "slope_upper"]
    assert table.loc["truth", "intercept_lower"] < 0 < table.loc["truth", "intercept_upper"]
    assert table.loc["too bold", "slope"] == pytest.approx(table.loc["truth", "slope"] / 2, rel=1e-3)
    assert table.loc["too high", "intercept"] == pytest.approx(table.loc["truth", "intercept"] - 1, abs=1e-3)
    np.testing.assert_allclose(table["auc"].drop("base rate"), table.loc["truth", "auc"], atol=1e-3)  # logits round to new ties
    assert table.loc["base rate", ["skill", "auc"]].tolist() == [0, 0.5]


def test_reliability_adds_up():
    table = reliability_table(FIT, CASES)
    assert (table["cases"].sum(), table["yes"].sum()) == (len(CASES.frame), CASES.outcome.sum())
    assert table["expected"].is_monotonic_increasing
    assert ((table["lower"] <= table["observed"]) & (table["observed"] <= table["upper"])).all()


# -- offers ---------------------------------------------------------------------------------------------------------

RATES = {("old", "A"): 0.20, ("old", "B"): 0.10, ("new", "A"): 0.08, ("new", "B"): 0.16}


def shown(n=8000, seed=3):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"kind": rng.choice(["new", "old"], n), "offer": rng.choice(["A", "B"], n)})
    frame["yes"] = rng.random(n) < [RATES[key] for key in zip(frame["kind"], frame["offer"], strict=True)]
    frame["paid"] = np.where(frame["yes"], rng.gamma(4, np.where(frame["offer"] == "A", 25, 50)), 0.0)
    return Cases.of(frame, outcome="yes", features=["kind"], segment="kind", offer="offer", amount="paid", currency="CNY")


def test_chances_of_first_places_add_up_and_turn_with_the_names():
    ranking = rank_offers(shown(), seed=1)
    np.testing.assert_allclose(ranking.best().sum(axis=1), 1)
    order = ranking.order()
    assert (order["p_order"] <= order["p_first"] + 1e-12).all()
    np.testing.assert_allclose(order["p_order"], order["p_first"])  # with two offers the first place is the whole order
    assert ranking.values.unit == "CNY"
    product = ranking.rates.draws * ranking.amounts.draws
    np.testing.assert_allclose(ranking.values.draws, product)
    assert ranking.policy_value().point > 0


def test_the_loss_of_each_offer_is_what_it_falls_short_of_the_best_and_all_cases_are_one_segment():
    ranking = rank_offers(shown(), seed=1)
    loss, order = ranking.table()["expected_loss"].unstack("offer"), ranking.order()
    assert (loss >= 0).all(axis=None)
    np.testing.assert_allclose(loss.min(axis=1), order["loss"])
    apart = ranking.values.point.to_series().unstack("offer")
    np.testing.assert_allclose(loss["A"] - loss["B"], apart["B"] - apart["A"], atol=1e-9)
    cases = shown()
    together = rank_offers(cases, segment=None, seed=1)
    alike = Cases.of(
        cases.frame.assign(kind="all"),
        outcome="yes",
        features=["kind"],
        segment="kind",
        offer="offer",
        amount="paid",
        currency="CNY",
    )
    np.testing.assert_allclose(together.values.draws, rank_offers(alike, seed=1).values.draws)
    assert together.segments == ["all"]
    assert together.shown.sum() == len(cases.frame)


def test_twins_are_told_apart_by_nobody():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"kind": "all", "offer": ["A", "B"] * 2000, "yes": np.repeat(rng.random(2000) < 0.1, 2)})
    ranking = rank_offers(Cases.of(frame, outcome="yes", features=["kind"], segment="kind", offer="offer"), seed=1)
    assert ranking.best().loc["all", "A"] == pytest.approx(0.5, abs=0.05)
    assert ranking.order()["verdict"].item() != "clear"


def test_thompson_shows_an_offer_as_often_as_it_may_be_best():
    ranking = rank_offers(shown(400), seed=1)
    often = pd.Series(ranking.next_offer("old", seed=4, size=4000)).value_counts(normalize=True)
    for offer, chance in ranking.best().loc["old"].items():
        assert often.get(offer, 0) == pytest.approx(chance, abs=0.03)
    assert ranking.next_offer("old", seed=9) == ranking.next_offer("old", seed=9)


def test_regret_of_uniform_is_its_mean_gap_and_of_thompson_grows_ever_slower():
    play = simulate_exploration({"A": 0.3, "B": 0.2, "C": 0.1}, visits=2000, seed=1, repetitions=60)
    mean = play.regret.draws.mean(("chain", "draw"))
    assert float(mean.sel(policy="uniform")[-1]) == pytest.approx(2000 * 0.1, rel=0.03)
    thompson = mean.sel(policy="thompson").to_series()
    half = thompson.index[np.argmin(np.abs(thompson.index - 1000))]
    assert thompson.iloc[-1] - thompson[half] < 0.5 * thompson[half]  # linear growth would give as much again
    assert thompson.iloc[-1] < 0.5 * float(mean.sel(policy="uniform")[-1])
    assert thompson.iloc[-1] < float(mean.sel(policy="greedy")[-1])
    assert (play.regret.draws.diff("visits") >= -1e-12).all()
    assert play.best == "A"
    # Lai & Robbins for two coins: gap over the divergence of the worse from the better
    two = simulate_exploration({"A": 0.5, "B": 0.25}, visits=2, seed=1, repetitions=1)
    assert two.floor == pytest.approx(0.25 / (0.25 * np.log(0.5) + 0.75 * np.log(1.5)))


def test_hierarchical_twin_agrees_where_data_are_plenty():
    cases = CASES.asking("bought", features=["job", "home"])
    plain, pooled = LogisticScore().fit(cases, seed=1), HierarchicalScore().fit(cases, seed=1)
    new = cases.frame.drop_duplicates(["job", "home"])
    np.testing.assert_allclose(pooled.scores(new)["probability"], plain.scores(new)["probability"], atol=0.01)
