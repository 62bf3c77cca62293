"""Histories that cannot be true are refused, all problems at once; order books are summed up as the literature does."""

import ibis
import numpy as np
import pandas as pd
import pytest

from funnelstats.data.crm import read_crm
from funnelstats.data.customers import Customers
from funnelstats.data.datasets import dataset_path, load_dataset
from funnelstats.data.transactions import Transactions
from funnelstats.errors import DataError, DataWarning
from funnelstats.window import ObservationWindow


def refused(build):
    with pytest.raises(DataError) as caught:
        build()
    return [str(problem) for problem in caught.value.problems]


def test_all_problems_of_a_history_at_once():
    said = refused(
        lambda: Customers.of(
            [-1, 2, 1, 0, -3], [0, 40.0, 0, 3.0, 0], [39.0, 38.0, 39.0, 39.0, 39.0], unit="week", weight=[1, 1, 0, 1, 1]
        )
    )
    assert said == [
        "frequency: expected whole numbers of at least 0, found -1 for customer 1 (2 rows: 1, 5); it counts repeat purchases",
        "recency: expected no more than T, found 40 with T 38 for customer 2 (row 2); "
        "it runs from first to last purchase, not since the last",
        "recency: expected above 0 where there are repeat purchases, found 0 with T 39 for customer 3 (row 3); "
        "merge purchases of one day",
        "recency: expected 0 where there is no repeat purchase, found 3 with T 39 for customer 4 (row 4); "
        "frequency leaves out the first",
        "weight: expected whole numbers of at least 1, found 0 for customer 3 (row 3)",
    ]


@pytest.mark.parametrize(("arguments", "said"), [
    ({"T": [272.0, 38.86], "unit": "week", "window": ObservationWindow.of("1997-09-30", start="1997-01-01", unit="week")},
     "T: expected at most 38.86 weeks, as long as the window, found 272; are these days?"),
    ({"T": [38.857142857, 38.857142857], "unit": "day"},
     "recency, T: expected whole days, found sevenths such as 30.43: these are weeks; say unit=\"week\""),
    ({"T": [38.86, 38.86], "unit": "day", "window": ObservationWindow.of("1997-09-30", unit="week")},
     "unit: expected the window's unit 'week', found 'day'"),
    ({"T": [38.86, 38.86], "unit": "fortnight"},
     "unit: expected one of day, week, month, year, found 'fortnight'; say in which the times were measured, as unit=\"week\""),
    ({"T": [38.86, 38.86]}, "unit: expected one of day, week, month, year, found none; say in which the times were measured, as unit=\"week\""),
    ({"T": [np.nan, 38.86], "unit": "week"},
     "T: expected a number in every row, found a missing or infinite one (row 1); leave customers with unknown dates out"),
    ({"T": [38.86, 38.86, 1.0], "unit": "week"},
     "frequency, recency, T, monetary_value, weight: expected one of each for every customer, found shapes [(2,), (3,)]"),
], ids=["days for weeks", "weeks for days", "two units", "no such unit", "no unit", "nan", "lengths"])  # fmt: skip
def test_units_and_shapes(arguments, said):
    assert refused(lambda: Customers.of([2, 0], [30.428571429, 0.0], **arguments)) == [said]


def test_a_unit_that_makes_histories_of_many_decades_is_doubted_unless_a_window_says_so():
    with pytest.warns(DataWarning, match='T up to 1,800 weeks is 34 years: if these are days, say unit="day"'):
        Customers.of([2, 0], [300.0, 0.0], 1800.0, unit="week")
    long = ObservationWindow.of("2026-06-30", start="1990-01-01", unit="week")
    assert Customers.of([2, 0], [300.0, 0.0], 1800.0, unit="week", window=long).n == 2
    for longest, unit in ((1040.0, "week"), (480.0, "month"), (60.0, "year"), (20_000.0, "day")):
        Customers.of([2, 0], [30.0, 0.0], longest, unit=unit)  # what can be true is not doubted: any warning is an error here


def test_gaps_and_words_are_named_with_their_rows_in_every_column():
    said = refused(lambda: Customers.of([2, None], [30.4, 0], ["39", "39"], unit="week", monetary_value=[5.0, 0]))
    assert [one.split(";")[0] for one in said] == [
        "frequency: expected a number in every row, found a missing or infinite one (row 2)",
        "T: expected a number in every row, found values such as '39'",
    ]
    (word,) = refused(lambda: Customers.of([0, "two"], [0, 5], 39, unit="week"))
    assert word.startswith("frequency: expected a number in every row, found 'two' (row 2)")


def test_nobody_is_refused_and_one_is_not():
    assert refused(lambda: Customers.of([], [], [], unit="week")) == ["customers: expected at least one, found none"]
    assert Customers.of([0], [0], [5.0], unit="week").n == 1


def test_customers_are_values():
    frequency = np.array([2, 0])
    customers = Customers.of(frequency, [3.0, 0], 10.0, unit="week", monetary_value=[5.0, 0.0])
    frequency[0] = 9
    assert customers.frequency.tolist() == [2, 0]
    with pytest.raises(ValueError, match="read-only"):
        customers.frequency[0] = 9
    assert np.isnan(customers.monetary_value[1])  # zero repeats: missing, never 0
    days = customers.in_unit("day")
    assert (days.T.tolist(), days.recency.tolist(), days.unit) == ([70.0, 70.0], [21.0, 0.0], "day")


ORDERS = pd.DataFrame({
    "customer": ["A", "A", "A", "A", "B", "B", "C", "D", "D", "E"],
    "at": ["2026-01-01 09:00", "2026-01-01 18:00", "2026-01-11 12:00", "2026-02-20 08:00", "2026-01-05", "2026-01-15",
           "2026-01-02", "2026-01-03", "2026-01-04", "2026-02-25"],
    "amount": [10.0, 5.0, 30.0, 50.0, 20.0, -20.0, 7.0, 0.0, 9.0, 4.0],
})  # fmt: skip


def test_rules_of_summing_up():
    customers = Transactions.of(ORDERS, currency="EUR").customers(unit="day", as_of="2026-01-31", holdout="2026-02-28")
    frame = customers.to_frame()
    assert frame.index.tolist() == ["A", "B", "C", "D"]  # E came after the end of observation
    assert frame["frequency"].tolist() == [1, 0, 0, 1]  # one day is one purchase; a return is none; an amount of zero is one
    assert frame["recency"].tolist() == [10, 0, 0, 1]
    assert frame["T"].tolist() == [30, 26, 29, 28]
    assert frame["monetary_value"].fillna(-1).tolist() == [30, -1, -1, 9]
    assert frame["later_frequency"].tolist() == [1, 0, 0, 0]
    assert frame["later_value"].tolist() == [50, 0, 0, 0]
    assert (customers.later, customers.currency) == (28, "EUR")
    assert customers.note == "1 row of a negative amount (20.00 EUR): returns, not purchases"


def test_missing_amounts_are_no_zeros():
    """The mean is of the repeat purchases whose amount is known, with and without a holdout; that some are missing is said."""
    orders = pd.DataFrame({"customer": list("AAABBCCDD"), "amount": [10.0, np.nan, 30.0, np.nan, 40.0, 7.0, np.nan, 5.0, -9.0],
                           "at": pd.to_datetime(["2026-01-01", "2026-01-11", "2026-01-21", "2026-01-02", "2026-01-12", "2026-01-03",
                                                 "2026-01-13", "2026-01-04", "2026-01-14"])})  # fmt: skip
    for later in ({}, {"holdout": "2026-02-05"}):
        found = Transactions.of(orders).customers(as_of="2026-01-31", **later)
        assert found.frequency.tolist() == [2, 1, 1, 0]
        np.testing.assert_equal(found.monetary_value, [30.0, 40.0, np.nan, np.nan])
        assert found.note.startswith("3 rows without an amount: a purchase, and left out of mean values; 1 row of a negative")
    assert repr(Transactions.of(orders)) == "<Transactions of DataFrame: 8 purchases and 1 return by 4 customers>"
    bare = Transactions.of(orders, amount="price?")
    assert repr(bare) == "<Transactions of DataFrame: 9 purchases by 4 customers, without amounts>"
    assert bare.customers(as_of="2026-01-31").note == "no amounts, so that returns are counted as purchases"


def test_a_book_that_ends_before_the_observation_is_named():
    book = Transactions.of("bundled:cdnow")
    assert book.customers(as_of="1997-09-30", holdout="1998-06-30").note == ""
    late = book.customers(as_of="1997-09-30", holdout="1999-01-01").note
    assert late.startswith("no purchase after 1998-06-30, 185 days before the end 1999-01-01")


def test_rows_without_customer_or_date_are_numbered(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("customer,date,amount\nA,2026-01-01,1\n,2026-01-02,1\nB,,1\nC,2026-13-45,1\n")
    with pytest.raises(DataError) as caught:
        Transactions.of(path)
    text = str(caught.value)
    assert "customer: expected a value in every row, found 1 without: row 2; leave these rows out" in text
    assert "date: expected a value in every row, found 1 without: id B, row 3" in text
    assert "'2026-13-45' (id C, row 4); correct them, or leave these rows out" in text


def test_deals_won_without_a_customer_are_counted():
    log = read_crm("bundled:crm_salesforce")
    entities = log.entities.execute()
    won = entities[entities["fate"] == "won"]
    book = Transactions.of(log, customer="region")
    missing = int(won["region"].isna().sum())
    assert missing > 0
    assert book.note == f"deals won without region or date, left out: {missing}"
    assert book.customers().note.startswith(book.note)


@pytest.mark.parametrize("kind", ["csv", "parquet", "frame", "ibis"])
def test_every_source_gives_the_same_customers(kind, tmp_path):
    frame = load_dataset("cdnow")
    if kind == "parquet":
        frame.to_parquet(tmp_path / "orders.parquet")
    source = {"csv": lambda: dataset_path("cdnow"), "parquet": lambda: tmp_path / "orders.parquet", "frame": lambda: frame,
              "ibis": lambda: ibis.memtable(frame)}[kind]()  # fmt: skip
    customers = Transactions.of(source).customers(unit="week", as_of="1997-09-30")
    # Fader, Hardie & Lee (2005): 2,357 customers, 1,411 without and 946 with repeat purchases, 2,457 repeat purchases
    assert (customers.n, customers.repeaters, customers.frequency.sum()) == (2357, 946, 2457)
    assert np.bincount(np.minimum(customers.frequency, 7)).tolist() == [1411, 439, 214, 100, 62, 38, 29, 64]
    assert len(customers.histories()) == 1016
    assert np.allclose(customers.T * 7, np.round(customers.T * 7))
    repeat = customers.frequency > 0
    corr = np.corrcoef(customers.frequency[repeat], customers.monetary_value[repeat])[0, 1]
    assert corr == pytest.approx(0.113884, abs=1e-5)


def test_won_deals_of_a_log_are_purchases():
    log = read_crm("bundled:crm_second")
    customers = Transactions.of(log, customer=log.attributes[0]).customers(unit="day", as_of=log.window.as_of)
    won = log.stages().frame.iloc[-1]["entered"]
    assert 0 < (customers.frequency + 1).sum() <= won  # deals of one customer on one day are one purchase


def test_order_books_that_cannot_be_read():
    assert refused(lambda: Transactions.of(ORDERS.drop(columns="at"))) == [
        "at: column expected, not found; known: customer, amount"
    ]
    bad = ORDERS.assign(customer=[None, *ORDERS["customer"][1:]], amount=["x", *ORDERS["amount"][1:].astype(str)])
    assert refused(lambda: Transactions.of(bad))[0].startswith("amount: expected numbers, found 1 other: 'x'")
    assert refused(lambda: Transactions.of(bad.drop(columns="amount"))) == [
        "customer: expected a value in every row, found 1 without: row 1; leave these rows out"
    ]
    orders = Transactions.of(ORDERS)
    assert refused(lambda: orders.customers())[0].startswith("as_of: expected the end of observation, found nothing")
    assert refused(lambda: orders.customers(as_of="2020-01-01")) == [
        "as_of: nobody bought by 2020-01-01; check as_of, and the dates of the file"
    ]
    assert refused(lambda: orders.customers(as_of="2026-01-31", holdout="2026-01-31")) == [
        "holdout: expected a date after 2026-01-31, found 2026-01-31"
    ]


def test_customers_numbered_or_named_are_the_same_customers():
    rows = pd.DataFrame({"customer": [7, 7, 12], "at": ["2026-01-05", "2026-02-05", "2026-01-09"], "amount": [10.0, 20.0, 5.0]})
    named = rows.assign(customer=rows["customer"].astype(str))
    one, two = (Transactions.of(part).customers(unit="day", as_of="2026-03-01") for part in (rows, named))
    assert list(one.names) == list(two.names) == ["12", "7"]
    np.testing.assert_array_equal(one.frequency, two.frequency)
    np.testing.assert_array_equal(one.recency, [0, 31])
    assert str(one.window.start.date()) == "2026-01-05"


def test_the_first_purchase_is_no_repeat_purchase_even_where_its_amount_is_unknown():
    """Days in no order, and an unknown amount on the first of them."""
    book = pd.DataFrame({"customer": ["a"] * 3 + ["b"] * 3, "amount": [5.0, 7.0, 9.0, None, 4.0, 8.0],
                         "at": pd.to_datetime(["2026-01-03", "2026-01-01", "2026-01-02", "2026-01-01", "2026-01-02", "2026-01-05"])})  # fmt: skip
    found = Transactions.of(book).customers(unit="day", as_of="2026-01-31").monetary_value
    assert found[0] == (5 + 9) / 2
    assert found[1] == (4 + 8) / 2  # the first purchase has no part in a total of known amounts
