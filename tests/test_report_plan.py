"""Figure, table and sliders of a chain: do they show what the functions behind them say?"""

import numpy as np
import pytest

from funnelstats.data.periods import read_periods
from funnelstats.decisions.levers import what_if
from funnelstats.decisions.planning import plan
from funnelstats.errors import DataError
from funnelstats.models.chain import Chain
from funnelstats.report.plan_figures import level_table, plot_chain
from funnelstats.report.sliders import sliders


@pytest.fixture(scope="module")
def fit():
    return Chain().fit(read_periods("bundled:monthly_chain"), seed=1)


def test_bands_are_those_of_the_fit(fit):
    table = level_table(fit, [8.0, 12.0])
    mean, one = fit.predict([8.0, 12.0]), fit.predictive([8.0, 12.0])
    np.testing.assert_allclose(table["mean"], mean.point)
    np.testing.assert_allclose(table["upper"], mean.upper)
    np.testing.assert_allclose(table["one_lower"], one.lower)
    assert (table["upper"] - table["lower"] < table["one_upper"] - table["one_lower"]).all()
    assert set(table["unit"]) == {"10k CNY"}


def test_figure_shows_periods_line_and_plan(fit):
    found = plan(fit, target=500, assurance=0.9)
    chart = plot_chain(fit, found)
    axes = chart.axes[0]
    points = axes.collections[-1].get_offsets()
    np.testing.assert_allclose(points, fit.observed()[["M", "R"]].to_numpy())
    assert (axes.lines[1].get_ydata()[0], axes.lines[2].get_xdata()[0]) == (500, found.level)
    assert axes.get_xlabel() == "M, 10k CNY"
    assert {"90% equal-tailed" in chart.alt, f"{found.level:.4g}" in chart.alt} == {True}


def test_a_plan_out_of_reach_is_drawn_as_a_target_alone(fit):
    low = fit.model.fit(fit.data, seed=2)
    chart = plot_chain(low, plan(low, target=1e6, assurance=0.9))
    assert len(chart.axes[0].lines) == 2
    assert "not reachable" in chart.alt


def test_a_plan_of_another_chain_is_refused(fit):
    from dataclasses import replace

    with pytest.raises(DataError, match="expected a plan of R by M, found R by X"):
        plot_chain(fit, replace(plan(fit, target=500), variable="X"))


def test_sliders_say_what_the_function_says(fit):
    board = sliders(fit)
    by_name = {child.description: child for child in board.children[:-1]}
    assert list(by_name) == ["M", "a", "b", "c", "d", "e", "f"]
    before = board.children[-1].value
    by_name["c"].value *= 1.2
    after = board.children[-1].value
    expected = what_if(fit, base=fit.observed()["M"].mean(), c=by_name["c"].value)
    assert after == expected._repr_html_() != before
