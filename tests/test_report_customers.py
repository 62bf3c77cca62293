"""Figures of customers: do they draw the table's numbers, with nothing cut or covered?"""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from funnelstats.data.customers import Customers
from funnelstats.data.datasets import load_dataset
from funnelstats.data.transactions import Transactions
from funnelstats.decisions.tiers import value_tiers
from funnelstats.errors import DataError
from funnelstats.models.occasions import BgBb
from funnelstats.models.purchases import BgNbd, MbgNbd
from funnelstats.report import theme
from funnelstats.report.customer_figures import plot_tiers, plot_tracking
from funnelstats.report.history_figures import MOST_ROWS, history_matrix, plot_alive_matrix, plot_frequency_recency


@pytest.fixture(scope="module")
def fits():
    bought = Transactions.of("bundled:cdnow").customers(unit="week", as_of="1997-09-30")
    d = load_dataset("donations")
    donors = Customers.of(d["frequency"], d["recency"], d["periods"], unit="year", weight=d["donors"])
    return {"bg": BgNbd().fit(bought, seed=1), "mbg": MbgNbd().fit(bought, seed=1), "bgbb": BgBb().fit(donors, seed=1)}


def tracked(n=78, dates=False):
    rng = np.random.default_rng(1)
    expected = 60 * np.exp(-np.arange(n) / 60)
    period = pd.date_range("2025-01-06", periods=n, freq="7D") if dates else np.arange(1, n + 1)
    return pd.DataFrame({"period": period, "actual": rng.poisson(expected), "expected": expected,
                         "expected_lower": 0.8 * expected, "expected_upper": 1.2 * expected})  # fmt: skip


def tiers(n=300, shares=None):
    rng = np.random.default_rng(2)
    draws = rng.gamma(1, 40, (n, 1)) * rng.lognormal(0, 0.15, (n, 400))
    return value_tiers(draws, shares=shares, unit="USD", description="value in the next 52 weeks")


CHARTS = {
    "tracking": lambda fits: plot_tracking(tracked(), split=39),
    "tracking by date": lambda fits: plot_tracking(tracked(20, dates=True), split=pd.Timestamp("2025-03-10"), what="orders"),
    "one period": lambda fits: plot_tracking(tracked(1)),
    "purchases": lambda fits: plot_frequency_recency(fits["bg"], horizon=39),
    "alive": lambda fits: plot_alive_matrix(fits["bg"]),
    "occasions": lambda fits: plot_alive_matrix(fits["bgbb"]),
    "tiers": lambda fits: plot_tiers(tiers()),
    "five tiers": lambda fits: plot_tiers(tiers(shares=dict.fromkeys(["platinum", "gold", "silver", "iron", "none"], 0.2))),
}


@pytest.mark.parametrize("name", CHARTS)
def test_no_text_is_cut_or_covered_by_other_text(name, fits):
    chart = CHARTS[name](fits)
    renderer = chart.figure.canvas.get_renderer()
    with theme.styled():
        chart.figure.draw(renderer)
        texts = [text for text in chart.figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
        boxes = {
            f"{text.get_text()!r} #{i}": text.get_window_extent(renderer)
            for i, text in enumerate(texts)
            if text not in _outer(chart)
        }
    page = chart.figure.bbox
    assert [key for key, box in boxes.items() if box.x0 < -1 or box.y0 < -1 or box.x1 > page.x1 + 1 or box.y1 > page.y1 + 1] == []
    shrunk = {key: box.padded(-1.5) for key, box in boxes.items()}
    assert [(a, b) for (a, one), (b, other) in itertools.combinations(shrunk.items(), 2) if one.overlaps(other)] == []
    assert chart.alt.endswith(".")
    assert "nan" not in chart.alt


def _outer(chart):
    """Labels of ticks outside the axis, which matplotlib keeps and does not draw."""
    hidden = []
    for axes in chart.figure.axes:
        for axis, (low, high) in ((axes.xaxis, sorted(axes.get_xlim())), (axes.yaxis, sorted(axes.get_ylim()))):
            hidden += [tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            hidden += [tick.label2 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
    return hidden


def test_tracking_draws_both_columns_and_their_sums():
    frame = tracked()
    top, bottom = plot_tracking(frame, split=39).axes
    for axes, fold in ((top, np.cumsum), (bottom, np.asarray)):
        for line, name in zip(axes.lines, ("actual", "expected"), strict=False):
            np.testing.assert_allclose(line.get_ydata(), fold(frame[name]))
    given = frame.assign(cumulative_actual=frame["actual"].cumsum() + 1000)  # a frame that begins later says where it stands
    np.testing.assert_allclose(plot_tracking(given).axes[0].lines[0].get_ydata(), given["cumulative_actual"])


def test_a_matrix_holds_what_the_fit_says_of_such_customers(fits):
    fit = fits["mbg"]
    table = history_matrix(fit, horizon=39)
    some = table[table["frequency"] > 0].iloc[[0, 200, -1]]
    alike = Customers.of(some["frequency"].to_numpy(), some["recency"].to_numpy(), float(fit.data.T.max()), unit="week")
    said = fit.table(horizon=39, customers=alike)
    for name in ("probability_alive", "probability_alive_lower", "expected_purchases", "expected_purchases_upper"):
        np.testing.assert_allclose(some[name], said[name])
    assert table["customers"].sum() == fit.data.n
    assert set(table["unit"]) == {"week"}
    mesh = plot_frequency_recency(fit, horizon=39).axes[0].collections[0].get_array()
    np.testing.assert_allclose(np.ravel(mesh), table.loc[table["frequency"] > 0, "expected_purchases"])
    assert len(mesh) == MOST_ROWS


def test_histories_of_occasions_are_those_that_can_be(fits):
    table = history_matrix(fits["bgbb"], horizon=5)
    assert (table["frequency"] <= table["recency"]).all()
    assert set(table["recency"]) == set(range(7))
    assert table["customers"].sum() == fits["bgbb"].data.n


def test_a_certainty_by_construction_is_said(fits):
    words = [text.get_text().replace("\n", " ") for text in plot_alive_matrix(fits["bg"]).figure.texts]
    assert any("It is 1 by construction under BG/NBD" in text for text in words)
    words = [text.get_text() for text in plot_alive_matrix(fits["mbg"]).figure.texts]
    assert not any("by construction" in text for text in words)


@pytest.mark.parametrize("n", [40, 3000])
def test_the_areas_of_the_tiers_are_their_expected_shares(n):
    found = tiers(n)
    axes = plot_tiers(found).axes[0]
    for area, name in zip(axes.collections, found.names, strict=True):
        corners = area.get_paths()[0].vertices
        x, y = corners[:, 0], corners[:, 1]
        size = abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
        assert size == pytest.approx(found.summary().loc[name, "expected_customers"] / n, abs=1e-9)
    assert f"A: {int(found.summary().loc['A', 'customers']):,} customers" in plot_tiers(found).alt


def test_tracking_that_cannot_be_drawn_is_named():
    def refused(frame, **arguments):
        with pytest.raises(DataError) as caught:
            plot_tracking(frame, **arguments)
        return [str(problem) for problem in caught.value.problems]

    frame = tracked(4)
    assert refused(frame.drop(columns=["expected", "actual"])) == ["actual, expected: column expected, not found"]
    assert refused(frame.iloc[:0]) == ["period: expected at least one, found none"]
    gap = frame.assign(actual=[1.0, np.nan, 3.0, 4.0]).iloc[::-1]
    assert refused(gap, split=9) == ["actual: expected a number in every period, found 1 without",
                                     'period: expected periods in order; use frame.sort_values("period")',
                                     "split: expected one of the periods 4 to 1, found 9"]  # fmt: skip


def test_customers_of_today_have_no_matrix():
    today = Customers.of([0, 0], [0, 0], [0.0, 0.0], unit="day")
    with pytest.raises(DataError, match="T: expected a time of observation, found 0 days"):
        history_matrix(MbgNbd().fit(today, seed=1), horizon=10)
