"""Holdout scores and tracking beside other ways to the same numbers, and in a world that the model made."""

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.customers import Customers
from funnelstats.data.transactions import Transactions
from funnelstats.decisions import holdout
from funnelstats.decisions.holdout import holdout_scores, holdout_table
from funnelstats.decisions.tracking import tracking_table
from funnelstats.errors import DataError
from funnelstats.models.purchases import BgNbd, simulate_histories

ORDERS = Transactions.of("bundled:cdnow")


@pytest.fixture(scope="module")
def fit():
    data = ORDERS.customers(unit="week", as_of="1997-09-30", holdout="1998-06-30")
    return BgNbd().fit(data, seed=1, method="mle", draws=100)


def test_coverage_is_that_of_all_counts_however_few_are_looked_at_first(fit, monkeypatch):
    looked = []
    for few in (1, 8, 10_000):
        monkeypatch.setattr(holdout, "FEW", few)
        looked.append(holdout_scores(fit).loc["BgNbd", "coverage"])
    assert looked[0] == looked[1] == looked[2]


def test_scores_by_hand(fit):
    actual = fit.data.later_frequency.astype(float)
    expected = fit.table(horizon=39)["expected_purchases"].to_numpy()
    found = holdout_scores(fit).loc["BgNbd"]
    assert (
        found["actual"] == 1882
    )  # repeat purchases of the held-out 39 weeks: Fader, Hardie & Lee 2005, Marketing Science 24:275
    assert found["bias"] == pytest.approx(expected.sum() / 1882 - 1)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((actual - expected) ** 2)))
    assert found["slope"] == pytest.approx(np.polyfit(expected, actual, 1)[0])
    # the Gini coefficient as a covariance with ranks (Lerman & Yitzhaki 1984), ties at their mean rank
    ranked = [np.cov(actual, pd.Series(by).rank())[0, 1] for by in (expected, actual)]
    assert found["gini"] == pytest.approx(ranked[0] / ranked[1], rel=1e-9)
    assert found["coverage"] > 0.9
    naive = holdout_scores(fit).loc["naive"]
    assert naive["mae"] > found["mae"]
    assert naive["slope"] < 0.6


def test_tenths_hold_everyone(fit):
    table = holdout_table(fit)
    assert table["customers"].sum() == 2357
    assert (table["actual"] * table["customers"]).sum() == pytest.approx(1882)
    assert table["expected"].is_monotonic_increasing
    np.testing.assert_allclose(table["error"], table["expected"] / table["actual"] - 1)


def test_a_world_that_the_model_made_is_forecast_well():
    """Histories up to 2 T of one simulation, cut at T: what comes later follows the model by construction."""
    rng, values = np.random.default_rng(3), {"r": 0.8, "alpha": 6.0, "a": 0.8, "b": 3.0}
    size, T = 3000, 40.0
    rate, p = rng.gamma(values["r"], 1 / values["alpha"], size), rng.beta(values["a"], values["b"], size)
    x, t_x, later = np.zeros(size, dtype=int), np.zeros(size), np.zeros(size, dtype=int)
    for at in range(size):
        now = 0.0
        while True:
            now += rng.exponential(1 / rate[at])
            if now > 2 * T:
                break
            if now <= T:
                x[at], t_x[at] = x[at] + 1, now
            else:
                later[at] += 1
            if rng.random() < p[at]:
                break
    data = Customers(frequency=x, recency=t_x, T=np.full(size, T), monetary_value=np.full(size, np.nan), weight=np.ones(size, dtype=int),
                     unit="week", later_frequency=later, later_value=np.zeros(size), later=T)  # fmt: skip
    scores = holdout_scores(BgNbd().fit(data, seed=1, method="mle", draws=50))
    ours, naive = scores.loc["BgNbd"], scores.loc["naive"]
    assert abs(ours["bias"]) < 0.08
    assert ours["slope"] == pytest.approx(1, abs=0.08)
    assert 0.9 <= ours["coverage"] < 0.98
    assert ours["decile_mape"] < 0.25 < naive["decile_mape"]
    counts, _ = simulate_histories(BgNbd, np.full(size, T), values, rng)
    assert counts.mean() == pytest.approx(x.mean(), rel=0.1)


def test_tracking_counts_what_pandas_counts(fit):
    table = tracking_table(fit, ORDERS, until="1998-06-30").set_index("period")
    days = ORDERS.table.select("customer", "at").execute()
    days["day"] = days["at"].dt.normalize()
    days = days.drop_duplicates(["customer", "day"])
    first = days.groupby("customer")["day"].transform("min")
    again = days[(days["day"] > first) & (days["day"] <= "1998-06-30")]
    assert table["cumulative_actual"].iloc[-1] == len(again) == 2457 + 1882
    week = (again["day"] - pd.Timestamp("1997-01-01")).dt.days // 7 + 1
    np.testing.assert_array_equal(week.value_counts().reindex(table.index, fill_value=0), table["actual"])
    at_cut = table.loc[table["held_out"].eq(False)].iloc[-1]
    ages, weight = np.unique(fit.data.T, return_counts=True)
    by_hand = sum(n * fit.expected_purchases_new(horizon=age).point for age, n in zip(ages, weight, strict=True))
    assert at_cut["cumulative_expected"] == pytest.approx(by_hand, rel=5e-3)


def test_nothing_held_out_is_said():
    data = ORDERS.customers(unit="week", as_of="1997-09-30")
    plain = BgNbd().fit(data, seed=1, method="mle", draws=10)
    with pytest.raises(DataError, match="later_frequency: expected purchases of a held-out span, found none"):
        holdout_scores(plain)
    bare = BgNbd().fit(Customers.of([1, 2, 0], [3, 4, 0], 9, unit="week"), seed=1, draws=10)
    with pytest.raises(DataError, match="window: expected customers with dates, found none"):
        tracking_table(bare, ORDERS, until="1998-06-30")
