"""Figures of choices: do they draw the table's numbers, with nothing cut or covered?"""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from funnelstats.decisions.allocation import allocate
from funnelstats.decisions.response import Response
from funnelstats.decisions.sampling import sampling_table
from funnelstats.decisions.variants import compare_variants
from funnelstats.errors import DataError
from funnelstats.estimate import Estimate
from funnelstats.report import theme
from funnelstats.report.choice_figures import plot_allocation, plot_sampling, plot_variants

ARMS = ["Web", "Trade fair with a long name", "电话 (phone)", "Partner"]


def split():
    value = Estimate.of(np.random.default_rng(1).gamma(30, [3000, 2500, 2000, 900], (300, 4)), unit="CNY", description="value",
                        coords={"channel": ARMS})  # fmt: skip
    now = dict.fromkeys(ARMS, 25_000.0)
    response = Response.power(value, at=now, elasticity=0.6, spend_unit="CNY", times=3)
    return allocate(response, budget=100_000, present=now, min_effect=5000)


def variants():
    data = {"old page": (200, 2000), "new page": (275, 2000), "新页面": (230, 2100), "long name of a variant": (190, 1950)}
    return compare_variants(data, min_effect=0.01, planned="equal", seed=1)


def more():
    rate = Estimate.of(np.random.default_rng(1).beta(4, 16, 1000), description="rate of East")
    return sampling_table({"go": rate * 100_000 - 19_000, "stay": 0.0}, rate, n=[10, 30, 100, 300, 600], cost_each=3.0)


CHARTS = {
    "allocation": lambda: plot_allocation(split()),
    "variants": lambda: plot_variants(variants()),
    "sampling": lambda: plot_sampling(more()),
}


@pytest.mark.skipif(len(theme.fonts()) == 1, reason="no Chinese font is installed here")
@pytest.mark.parametrize("name", CHARTS)
def test_no_text_is_cut_or_covered_by_other_text(name):
    chart = CHARTS[name]()
    renderer = chart.figure.canvas.get_renderer()
    with theme.styled():
        chart.figure.draw(renderer)
        hidden = []
        for axes in chart.figure.axes:
            for axis, (low, high) in ((axes.xaxis, sorted(axes.get_xlim())), (axes.yaxis, sorted(axes.get_ylim()))):
                hidden += [tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
        texts = [
            text for text in chart.figure.findobj(Text) if text.get_text().strip() and text.get_visible() and text not in hidden
        ]
        boxes = {f"{text.get_text()!r} #{i}": text.get_window_extent(renderer) for i, text in enumerate(texts)}
    page = chart.figure.bbox
    assert [key for key, box in boxes.items() if box.x0 < -1 or box.y0 < -1 or box.x1 > page.x1 + 1 or box.y1 > page.y1 + 1] == []
    shrunk = {key: box.padded(-1.5) for key, box in boxes.items()}
    assert [(a, b) for (a, one), (b, other) in itertools.combinations(shrunk.items(), 2) if one.overlaps(other)] == []


def test_the_marks_of_a_split_are_its_table():
    found = split()
    axes = plot_allocation(found).figure.axes[0]
    lines = {line.get_label(): line.get_xdata() for line in axes.lines}
    table = found.table()
    for name in ("present", "best on average", "cautious"):
        np.testing.assert_allclose(lines[name], table[name])
    spans = [tuple(segment[:, 0]) for segment in axes.collections[0].get_segments()]
    np.testing.assert_allclose(spans, table[["lower", "upper"]])


def test_the_lines_of_variants_are_their_differences():
    found = variants()
    axes = plot_variants(found).figure.axes[0]
    table = found.table().drop(index="old page")
    spans = [tuple(segment[:, 0]) for segment in axes.collections[0].get_segments()]
    np.testing.assert_allclose(spans, 100 * table[["difference_lower", "difference_upper"]])
    assert [text.get_text() for text in axes.texts] == [f"{share:.0%}" for share in table["p_effect"]]
    assert found.table().loc["old page", "difference":"ratio_upper"].isna().all()


def test_the_curves_of_more_leads_are_their_table():
    table = more()
    lines = {line.get_label(): line.get_ydata() for line in plot_sampling(table).figure.axes[0].lines}
    np.testing.assert_allclose(lines["left after cost"], table["enbs"])
    np.testing.assert_allclose(lines["worth"] - lines["cost"], table["enbs"])
    with pytest.raises(DataError, match="use sampling_table"):
        plot_sampling(pd.DataFrame({"evsi": [1.0]}))
