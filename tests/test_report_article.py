"""Figures of the article: do they show the numbers of the functions behind them?"""

import numpy as np
import pytest

from funnelstats.models.article import chapters_table
from funnelstats.models.article_training import train
from funnelstats.report.article_figures import loss_table, plot_chapters, plot_training


def test_both_chapters_are_drawn_from_their_table():
    chart = plot_chapters()
    table = chapters_table()
    fourth, fifth = chart.axes[0].lines
    np.testing.assert_array_equal(fourth.get_ydata()[1:], table["chapter4"])
    np.testing.assert_array_equal(fifth.get_ydata()[1:], table["chapter5"])
    assert "at M = 50 they say 2000 and 1200" in chart.alt


def test_losses_are_those_of_the_runs():
    training = train(range(8), steps=30)
    table = loss_table(training)
    assert table["half"].iloc[-1] == pytest.approx(np.median(training.table["loss"]))
    assert table["most"].iloc[0] == pytest.approx(training.table["start_loss"].max())
    chart = plot_training(training)
    np.testing.assert_allclose(chart.axes[0].lines[0].get_ydata(), table["half"].iloc[1:])
    assert f"{training.table['loss'].max():,.4g}" in chart.alt
