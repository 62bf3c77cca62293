"""Scores, tiers and states: laws they must obey whatever the data, and bad input named."""

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.customers import Customers
from funnelstats.data.transactions import Transactions
from funnelstats.decisions.rfm import FIVE, rfm_scores
from funnelstats.errors import DataError


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
