"""Figures of decisions: do they draw the table's numbers, with nothing cut or covered?"""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from funnelstats.data.stages import StageCounts
from funnelstats.decisions.bottleneck import bottleneck
from funnelstats.decisions.league import league_table
from funnelstats.errors import DataError
from funnelstats.estimate import Estimate
from funnelstats.models.pooling import pooling_table
from funnelstats.models.trials import Trials
from funnelstats.report import theme
from funnelstats.report.decision_figures import MOST_ROWS, plot_bottleneck, plot_league, plot_shrinkage

STAGES = ("Lead", "Marketing", "Sales Lead")
WON = [9, 12, 30, 3, 45, 8]


def found():
    draws = np.random.default_rng(1).beta([200, 100, 60], [200, 110, 60], size=(2000, 3))
    rates = Estimate.of(draws, description="step rates", coords={"stage": list(STAGES)})
    return bottleneck(rates, benchmark={"Lead": 0.55, "Marketing": 0.52, "Sales Lead": 0.48}, name="last year")


def league(names=("Ann", "Bo", "Consultant with a long name | Partner", "Di", "Ed", "王小明"), target=0.3):
    names = list(names)
    won = np.resize(WON, len(names))
    frame = pd.DataFrame({"owner": np.repeat(names, 2), "stage": ["Lead", "Won"] * len(names),
                          "entered": np.column_stack([np.full(len(names), 60), won]).ravel()})  # fmt: skip
    draws = np.random.default_rng(2).beta(won + 5, 60 - won + 15, size=(2000, len(names)))
    rates = Estimate.of(draws, description="won of entered", coords={"owner": names})
    return league_table(rates, StageCounts.of(frame, by=["owner"]), group="owner", target=target)


def pooled():
    return pooling_table(Trials.of(WON, [60, 20, 100, 40, 90, 8], labels=["Ann", "Bo", "Cy", "Di", "Ed", "Fay"]), seed=1)


CHARTS = {"bottleneck": lambda: plot_bottleneck(found()), "league": lambda: plot_league(league()),
          "long league": lambda: plot_league(league([f"Member {i}" for i in range(50)])), "shrinkage": lambda: plot_shrinkage(pooled())}  # fmt: skip


@pytest.mark.skipif(len(theme.fonts()) == 1, reason="no Chinese font is installed here")
@pytest.mark.parametrize("name", CHARTS)
def test_no_text_is_cut_or_covered_by_other_text(name):
    chart = CHARTS[name]()
    renderer = chart.figure.canvas.get_renderer()
    with theme.styled():
        chart.figure.draw(renderer)
        texts = [text for text in chart.figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
        inside = [text for text in texts if text not in _outer_ticks(chart)]
        found_boxes = {f"{text.get_text()!r} #{i}": text.get_window_extent(renderer) for i, text in enumerate(inside)}
    page = chart.figure.bbox
    assert [
        key for key, box in found_boxes.items() if box.x0 < -1 or box.y0 < -1 or box.x1 > page.x1 + 1 or box.y1 > page.y1 + 1
    ] == []
    shrunk = {key: box.padded(-1.5) for key, box in found_boxes.items()}
    assert [(a, b) for (a, one), (b, other) in itertools.combinations(shrunk.items(), 2) if one.overlaps(other)] == []


def _outer_ticks(chart):
    """Labels of ticks outside the axis, which matplotlib keeps and does not draw."""
    hidden = []
    for axes in chart.figure.axes:
        low, high = sorted(axes.get_xlim())
        hidden += [tick.label1 for tick in axes.xaxis.get_major_ticks() if not low <= tick.get_loc() <= high]
    return hidden


def test_the_dark_bar_is_the_probability_of_the_first_rank():
    answer = found()
    axes = plot_bottleneck(answer).figure.axes[0]
    dark = [patch.get_width() for patch in axes.patches[: len(STAGES)]]
    np.testing.assert_allclose(dark, answer.ranks[1])
    assert f"{answer.probability['Lead']:.0%}" in [text.get_text() for text in axes.texts]


def test_the_league_draws_every_member_s_interval_and_raw_rate():
    table = league()
    axes = plot_league(table).figure.axes[0]
    spans = sorted(tuple(segment[:, 0]) for lines in axes.collections for segment in lines.get_segments())
    np.testing.assert_allclose(spans, sorted(zip(table.frame["lower"], table.frame["upper"], strict=True)))
    raw = next(line for line in axes.lines if line.get_label() == "won so far")
    np.testing.assert_allclose(raw.get_xdata(), table.frame["raw"])
    assert "Ann" in plot_league(table).alt


def test_a_league_too_long_for_the_page_says_so():
    chart = CHARTS["long league"]()
    assert len(chart.figure.axes[0].get_yticks()) == MOST_ROWS
    assert "10 further members" in "".join(text.get_text() for text in chart.figure.findobj(Text)).replace("\n", " ")


def test_shrinkage_needs_a_pooling_table():
    with pytest.raises(DataError, match="use pooling_table"):
        plot_shrinkage(pd.DataFrame({"raw": [0.1]}))
    assert "Bo: raw 60.0% of 20" in plot_shrinkage(pooled()).alt
