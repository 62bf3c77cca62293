"""Do the figures and the table of a forecast say its numbers, for one total, for groups, and without amounts?"""

import numpy as np
import pytest

from funnelstats.data.crm import read_crm
from funnelstats.data.simulate import simulate_crm
from funnelstats.decisions.forecast import ALL, forecast
from funnelstats.decisions.forecast_backtest import backtest_forecast
from funnelstats.report.forecast_figures import MOST_ROWS, forecast_table, plot_forecast, plot_forecast_backtest


@pytest.fixture(scope="module")
def log():
    crm = simulate_crm(seed=5, n_leads=900, owners=MOST_ROWS + 2, start="2025-07-01")
    return read_crm(crm.events, mapping=crm.mapping, as_of=crm.as_of)


@pytest.fixture(scope="module", params=[None, "owner"])
def made(log, request):
    return forecast(log, horizon=60, periods=2, seed=1, by=request.param, draws=50)


def test_the_figure_draws_what_the_table_says(made):
    chart, table = plot_forecast(made), made.table()
    key = made.by or "period"
    shown = table[(table["period"] == ALL) == (made.by is not None)]
    wins = (
        shown[shown["quantity"] == "wins"].sort_values("mean", ascending=False) if made.by else shown[shown["quantity"] == "wins"]
    )
    axes = chart.axes[0]
    labels = [text.get_text().replace("\n", " ") for text in axes.get_yticklabels()]
    assert labels == list(wins[key])[:MOST_ROWS]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), wins["p50"].iloc[:MOST_ROWS])
    assert [panel.get_title(loc="left") for panel in chart.axes] == ["Deals won", "Revenue, CNY"]
    assert f"{labels[0]}, wins: P10 {wins['p10'].iloc[0]:.0f}, P50 {wins['p50'].iloc[0]:.0f}" in chart.alt
    if made.by:
        assert "2 further groups are in the table only" in chart.figure.get_supxlabel().replace("\n", " ")


def test_the_table_has_every_row_and_both_quantities(made):
    plain = forecast_table(made)
    assert len(plain.frame) == len(made.table()) / 2
    row = plain.frame[plain.frame["period"] == ALL].iloc[0]
    first = made.table().query("period == @ALL and quantity == 'wins'").iloc[0]
    assert row["wins: P90"] == f"{first['p90']:,.0f}"
    assert f"({first['lower']:,.0f} to {first['upper']:,.0f})" in row["mean (90% equal-tailed interval)"]
    assert "revenue, CNY: P50" in plain.frame


def test_the_backtest_is_drawn_beside_what_came(log):
    found = backtest_forecast(log, horizon=60, periods=2, origins=2, seed=1, draws=50)
    chart = plot_forecast_backtest(found)
    whole = found.table[(found.table["period"] == ALL) & (found.table["quantity"] == "wins")]
    marks = {line.get_label(): line.get_ydata() for line in chart.axes[0].lines}
    np.testing.assert_allclose(marks["came"], whole["observed"])
    np.testing.assert_allclose(marks["weighted pipeline"], whole["weighted"])
    assert f"came {whole['observed'].iloc[0]:.0f}" in chart.alt
