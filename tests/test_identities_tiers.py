"""Scores, tiers and states: laws they must obey whatever the data, and bad input named."""

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.customers import Customers
from funnelstats.data.transactions import Transactions
from funnelstats.decisions.rfm import FIVE, rfm_scores
from funnelstats.decisions.service import STATES, action_table, lifecycle_state, next_best_action
from funnelstats.decisions.tiers import value_tiers
from funnelstats.errors import DataError
from funnelstats.estimate import Estimate
from funnelstats.models.purchases import BgNbd, MbgNbd


def refused(build):
    with pytest.raises(DataError) as caught:
        build()
    return [str(problem) for problem in caught.value.problems]


def people(n=400, seed=1, weight=None):
    rng = np.random.default_rng(seed)
    x = rng.poisson(rng.gamma(0.8, 3, n))
    T = rng.uniform(10, 60, n)
    return Customers.of(x, np.where(x > 0, rng.uniform(0.1, 1, n) * T, 0), T, unit="month", monetary_value=rng.gamma(2, 20, n),
                        weight=weight)  # fmt: skip


# -- RFM ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("bins", [4, 5, 7])
def test_scores_are_those_of_pandas_where_all_cut_points_differ(bins):
    rng = np.random.default_rng(3)
    x = rng.permutation(np.arange(1, 501))
    T = rng.uniform(100, 200, 500)
    data = Customers.of(x, T * rng.uniform(0.1, 1, 500), T, unit="week", monetary_value=rng.gamma(2, 20, 500))
    frame = rfm_scores(data, bins=bins, segments={}).frame
    up, down = list(range(1, bins + 1)), list(range(bins, 0, -1))
    for column, name, labels in (("r", "recency", down), ("f", "frequency", up), ("m", "monetary", up)):
        assert frame[column].tolist() == pd.qcut(frame[name], bins, labels=labels).astype(int).tolist()
    assert (frame["segment"] == "Others").all()


def test_equal_values_score_equal_and_a_better_value_never_scores_less():
    frame = rfm_scores(people()).frame
    for column, name, sign in (("r", "recency", -1), ("f", "frequency", 1), ("m", "monetary", 1)):
        ordered = frame.assign(key=sign * frame[name]).sort_values("key")
        assert ordered.groupby("key")[column].nunique().max() == 1
        assert ordered[column].diff().dropna().min() >= 0


def test_rows_with_weights_score_as_the_customers_they_stand_for():
    data = people(60)
    weight = np.random.default_rng(2).integers(1, 5, 60)
    columns = (data.frequency, data.recency, data.T)
    grouped = Customers.of(*columns, unit="month", monetary_value=data.monetary_value, weight=weight)
    each = Customers.of(*(np.repeat(part, weight) for part in columns), unit="month",
                        monetary_value=np.repeat(data.monetary_value, weight))  # fmt: skip
    one, many = rfm_scores(grouped), rfm_scores(each)
    assert np.repeat(one.frame["score"].astype(str), weight).tolist() == many.frame["score"].tolist()
    pd.testing.assert_frame_equal(one.summary(), many.summary())


def test_shared_values_leave_scores_out_and_the_note_says_which():
    data = Customers.of([0] * 7 + [1, 2, 3], [0.0] * 7 + [5, 6, 7], 10.0, unit="month", monetary_value=[9.0] * 10)
    found = rfm_scores(data)
    assert found.frame["f"].tolist() == [1] * 7 + [4, 5, 5]  # cut points of frequency: 1, 1, 1, 2.2
    assert "frequency: nobody scores 2, 3, since too many customers share one value" in found.notes
    alike = rfm_scores(Customers.of([0, 0], [0, 0], 10.0, unit="month"))
    assert alike.frame[["r", "f", "m"]].to_numpy().tolist() == [[5, 1, 1], [5, 1, 1]]
    assert len(alike.notes) == 3


def test_transactions_count_every_purchase_of_the_window_and_no_return():
    rows = pd.DataFrame({"customer": ["a", "a", "a", "a", "b", "c"], "amount": [10.0, 5.0, 20.0, -7.0, 3.0, 9.0],
                         "date": ["2025-01-01", "2025-01-01", "2025-01-11", "2025-01-12", "2025-01-05", "2025-03-01"]})  # fmt: skip
    frame = rfm_scores(Transactions.of(rows), as_of="2025-01-31").frame
    assert frame[["recency", "frequency", "monetary"]].to_numpy().tolist() == [[20, 2, 35.0], [26, 1, 3.0]]
    mean = rfm_scores(Transactions.of(rows), as_of="2025-01-31", monetary="mean").frame
    assert mean["monetary"].tolist() == [17.5, 3.0]


def test_named_segments_of_scores():
    data = people(4000)
    ten = rfm_scores(data).frame.drop_duplicates("score").set_index("score")["segment"]
    found = ten[["555", "155", "534", "244", "411", "111"]].tolist()
    assert found == ["Champions", "At Risk", "Potential Loyalist", "Loyal Customers", "New Customers", "Lost"]
    five = rfm_scores(data, segments="five").frame.drop_duplicates("score").set_index("score")["segment"]
    for name, scores in FIVE.items():
        there = [score for score in scores.split() if score in five.index]
        assert (five[there] == name).all()
        assert there
    own = rfm_scores(data, segments={"best": ["555"], "again": ["555", "554"]}).frame
    assert set(own.loc[own["score"] == "555", "segment"]) == {"best"}  # the first that fits
    assert set(own.loc[own["score"] == "554", "segment"]) == {"again"}


@pytest.mark.parametrize(("arguments", "said"), [
    ({"segments": "seven"}, "segments: expected \"ten\", \"five\" or a mapping, found 'seven'"),
    ({"bins": 4}, "segments: expected a mapping of your own for other bins than 5: the ten are of quintiles, found 4"),
    ({"bins": 12, "segments": {}}, "bins: expected a number from 2 to 9, found 12"),
    ({"monetary": "sum"}, "monetary: expected one of \"total\", \"mean\", found 'sum'"),
    ({"segments": {"best": ["666"]}}, "segment best: expected three digits from 1 to 5, found '666'"),
])  # fmt: skip
def test_scores_that_do_not_exist_are_named(arguments, said):
    assert refused(lambda: rfm_scores(people(20), **arguments)) == [said]


def test_histories_without_amounts_cannot_be_scored():
    data = Customers.of([1, 0], [3.0, 0], 10.0, unit="month")
    assert refused(lambda: rfm_scores(data))[0].startswith("monetary: expected amounts for every customer, found 1 without")
    assert refused(lambda: rfm_scores([1, 2])) == ["data: expected Customers or Transactions, found list"]


# -- value tiers -------------------------------------------------------------------------------------------------
def worth(n=50, k=600, seed=1, noise=15.0):
    rng = np.random.default_rng(seed)
    return rng.normal(rng.gamma(2, 40, (n, 1)), noise, (n, k))


@pytest.mark.parametrize("weight", [None, np.random.default_rng(5).integers(1, 9, 50)], ids=["each", "weights"])
def test_probabilities_add_up_by_customer_and_to_the_share_of_each_tier(weight):
    shares = {"A": 0.1, "B": 0.25, "C": 0.65}
    tiers = value_tiers(worth(), shares=shares, weight=weight)
    p = tiers.frame[["p_A", "p_B", "p_C"]]
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(tiers.frame["weight"] @ p, np.array(list(shares.values())) * tiers.frame["weight"].sum())
    assert (p.max(axis=1) == tiers.frame["probability"]).all()
    assert (tiers.boundary["probability"] < 0.8).all()
    assert tiers.boundary["probability"].is_monotonic_increasing
    assert len(tiers.boundary) == (tiers.frame["probability"] < 0.8).sum() > 0


def test_a_row_with_a_weight_is_as_many_customers_and_equal_values_share_their_places():
    draws, weight = worth(12), np.arange(1, 13)
    grouped = value_tiers(draws, weight=weight).frame
    each = value_tiers(np.repeat(draws, weight, axis=0)).frame
    np.testing.assert_allclose(np.repeat(grouped["p_A"], weight), each["p_A"])
    alike = value_tiers(np.full((10, 3), 7.0), shares={"A": 0.2, "B": 0.8}).frame
    np.testing.assert_allclose(alike["p_A"], 0.2)


def test_ranks_of_joint_draws_do_not_see_what_moves_all_values_together():
    values = np.linspace(100, 10, 10)[:, None]
    common = np.exp(np.random.default_rng(1).normal(0, 1, 500))
    joint = value_tiers(values * common, shares={"A": 0.3, "B": 0.7})
    assert set(joint.frame["probability"]) == {1.0}
    alone = value_tiers(pd.DataFrame({"mean": values[:, 0], "sd": (values * common).std(axis=1)}), shares={"A": 0.3, "B": 0.7})
    assert alone.frame["probability"].min() < 0.7


def test_known_values_are_cut_as_sorting_cuts_them():
    values = np.random.default_rng(4).permutation(100.0 + np.arange(100))
    for data in (values, values[:, None], pd.DataFrame({"mean": values, "sd": 0.0})):
        tiers = value_tiers(data)
        assert tiers.frame["tier"].tolist() == ["A" if v >= 180 else "B" if v >= 150 else "C" for v in values]
        assert tiers.cutoffs["least"].tolist() == [180.0, 150.0]
        assert (tiers.frame["probability"] == 1).all()


def test_money_thresholds_count_the_draws_above():
    draws = worth()
    tiers = value_tiers(draws, thresholds={"gold": 120, "silver": 60, "rest": 0}, unit="CNY")
    np.testing.assert_allclose(tiers.frame["p_gold"], (draws >= 120).mean(axis=1))
    np.testing.assert_allclose(tiers.frame["p_rest"], (draws < 60).mean(axis=1), atol=1e-12)
    known = pd.DataFrame({"mean": draws.mean(axis=1), "sd": draws.std(axis=1)})
    normal = value_tiers(known, thresholds={"gold": 120, "silver": 60, "rest": 0})
    np.testing.assert_allclose(normal.frame["p_gold"], tiers.frame["p_gold"], atol=0.06)


def test_an_estimate_brings_names_unit_and_words():
    value = Estimate.of(worth(4).T, description="value in a year", unit="USD", coords={"customer": ["a", "b", "c", "d"]})
    tiers = value_tiers(value, shares={"top": 0.25, "rest": 0.75})
    assert tiers.frame.index.tolist() == ["a", "b", "c", "d"]
    assert (tiers.unit, tiers.description, tiers.names) == ("USD", "value in a year", ["top", "rest"])
    assert tiers.summary()["customers"].sum() == 4
    assert tiers.summary()["share_of_value"].sum() == pytest.approx(1)


def test_the_price_of_an_error_moves_the_tier_and_not_the_probability():
    draws = worth()
    plain = value_tiers(draws, shares={"A": 0.3, "B": 0.7})
    dear = pd.DataFrame({"A": [0, 9], "B": [1, 0]}, index=["A", "B"])  # to serve an A as a B costs nine times the reverse
    priced = value_tiers(draws, shares={"A": 0.3, "B": 0.7}, cost=dear)
    pd.testing.assert_series_equal(priced.frame["p_A"], plain.frame["p_A"])
    assert (priced.frame["tier"] == np.where(plain.frame["p_A"] >= 0.1, "A", "B")).all()
    np.testing.assert_allclose(priced.frame["expected_cost"], np.minimum(plain.frame["p_B"], 9 * plain.frame["p_A"]))


@pytest.mark.parametrize(("arguments", "said"), [
    ({"shares": {"A": 0.5, "B": 0.6}}, "shares: expected positive shares that add up to 1, found [0.5, 0.6]"),
    ({"thresholds": {"A": 10, "B": 20}}, "thresholds: expected to fall from the top, found [10.0, 20.0]"),
    ({"shares": {"A": 1.0}}, "tiers: expected at least two, found 1"),
    ({"level": 80}, "level: expected a probability, found 80"),
    ({"weight": [1, 2]}, "weight: expected one above 0 for each of 50 rows"),
    ({"customers": ["a"]}, "customers: expected one name for each of 50 rows, found 1"),
    ({"cost": pd.DataFrame({"A": [1]})}, "cost: expected a row and a column for each of A, B, C"),
])  # fmt: skip
def test_tiers_that_cannot_be_are_named(arguments, said):
    assert refused(lambda: value_tiers(worth(), **arguments)) == [said]


def test_values_that_are_no_numbers_are_named():
    assert refused(lambda: value_tiers([[1.0, np.nan], [2.0, 3.0]])) == ["value: expected finite numbers, found 1 that are not"]
    assert refused(lambda: value_tiers(pd.DataFrame({"mean": [1.0], "sd": [-1.0]}))) == [
        "sd: expected at least 0, found a negative one"
    ]
    assert refused(lambda: value_tiers(np.empty((0, 3)))) == ["value: expected rows of draws, found shape (0, 3)"]


# -- state and service -------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def bought():
    return Transactions.of("bundled:cdnow").customers(unit="week", as_of="1997-09-30")


@pytest.fixture(scope="module")
def modified(bought):
    return MbgNbd().fit(bought, seed=1)


def test_states_follow_the_rule(modified):
    states = lifecycle_state(modified, active=0.6, lapsed=0.3, new=30.0)
    p, young = states["probability_alive"], modified.data.T <= 30.0
    expected = np.select([young, p >= 0.6, p < 0.3], ["new", "active", "lapsed"], default="at risk")
    assert states["state"].tolist() == expected.tolist()
    assert {"new", "active", "lapsed", "at risk"} == set(expected)
    crossing = [((states[f"{p.name}_lower"] < at) & (at <= states[f"{p.name}_upper"])) for at in (0.6, 0.3)]
    assert states["boundary"].tolist() == ((crossing[0] | crossing[1]) & ~young).tolist()
    assert list(states["state"].cat.categories) == list(STATES)
    assert set(states["unit"]) == {"week"}


def test_a_probability_of_one_by_construction_is_no_sign_of_life(bought):
    states = lifecycle_state(BgNbd().fit(bought, seed=1))
    once = bought.frequency == 0
    assert (states["state"][once] == "bought once").all()
    assert (states["state"][~once] != "bought once").all()
    assert states["reason"][once].iloc[0].startswith("bought once: under BG/NBD nobody leaves before a second purchase")


def test_new_is_a_quarter_of_a_year_in_every_unit(bought):
    data = bought.select(np.arange(200))
    weeks = lifecycle_state(MbgNbd().fit(data, seed=1), new=38.0)
    days = lifecycle_state(MbgNbd().fit(data.in_unit("day"), seed=1), new=38.0 * 7)
    assert weeks["state"].tolist() == days["state"].tolist()
    assert set(weeks["state"]) > {"new"}


def test_the_action_is_that_of_the_edited_table(modified):
    states = lifecycle_state(modified)
    names = modified.data.names
    tiers = value_tiers(np.random.default_rng(1).gamma(2, 50, (len(names), 20)), customers=names)
    table = action_table()
    table.loc["A", "lapsed"] = "lunch with a partner"
    found = next_best_action(tiers, states, table=table)
    for row in found.sample(50, random_state=1).itertuples():
        assert row.action == table.loc[row.tier, row.state]
    assert (found["action"] == "lunch with a partner").sum() == ((found["tier"] == "A") & (found["state"] == "lapsed")).sum() > 0
    assert (found["review"] == (tiers.frame["boundary"] | states["boundary"])).all()
    turned = next_best_action(tiers, states.iloc[::-1], table=table)
    pd.testing.assert_frame_equal(turned, found)  # by name, not by place


def test_what_has_no_action_is_named(modified):
    states = lifecycle_state(modified)
    tiers = value_tiers([[1.0, 2.0], [3.0, 4.0]], customers=["0001", "zz"], shares={"gold": 0.5, "rest": 0.5})
    said = refused(lambda: next_best_action(tiers, states, table=action_table()[["new", "active"]]))
    assert said == ["customers: expected a state for each, found none for zz",
                    "table: expected a row for each tier, found none for gold, rest",
                    "table: expected a column for each state, found none for at risk, lapsed"]  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), [
    ({"active": 0.2, "lapsed": 0.5}, "active, lapsed: expected 0 < lapsed < active < 1, found lapsed 0.5 and active 0.2"),
    ({"new": -1.0}, "new: expected a length of time in weeks, found -1.0"),
])  # fmt: skip
def test_rules_that_cannot_be_are_named(modified, arguments, said):
    assert refused(lambda: lifecycle_state(modified, **arguments)) == [said]
    assert refused(lambda: lifecycle_state("fit")) == ["fit: expected a fit of repeat buying, found str"]
