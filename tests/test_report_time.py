"""Figure and table of time in stage: do they show the numbers, to every reader, with nothing cut or overlapping?"""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from funnelstats.data.crm import read_crm
from funnelstats.data.stages import StageHazards
from funnelstats.models.exits import CompetingExits
from funnelstats.models.timing import incidence_curves, time_in_stage
from funnelstats.report import theme
from funnelstats.report.time_figures import plot_time_in_stage, time_table
from funnelstats.window import ObservationWindow

NAMES = ("Lead", "Marketing", "Sales Lead", "Opportunity", "Won")
LONG = ("Lead (imported from the trade fair list)", "Marketing qualified", "Proposal, $5 or $6", "Won")
HAN = ("潜在客户", "市场营销合格线索阶段", "商机 (Opportunity)", "成交")


def hazards_of(stages=NAMES, *, size=400, watched=60, leave=0.06, owners=("",), seed=3):
    """Geometric times in each stage, watched for up to ``watched`` days; nobody enters the last but one when ``size`` is small."""
    rng, rows = np.random.default_rng(seed), []
    for owner, (place, stage) in itertools.product(owners, enumerate(stages[:-1])):
        n = size // (place + 1)
        time, until = rng.geometric(leave, n) - 1, rng.integers(1, watched + 1, n)
        left = time < until
        advanced = left & (rng.random(n) < 0.5)
        rows.append(pd.DataFrame({"owner": owner, "stage": stage, "age": np.where(left, time, until - 1), "advanced": advanced,
                                  "lost": left & ~advanced, "censored": ~left}))  # fmt: skip
    frame = (
        pd.concat(rows)
        .groupby(["owner", "stage", "age"], as_index=False, sort=False)
        .sum()
        .sort_values(["owner", "stage", "age"])
    )
    gone = frame[["advanced", "lost", "censored"]].sum(axis=1)[::-1]
    frame["at_risk"] = gone.groupby([frame["owner"], frame["stage"]]).cumsum()
    window = ObservationWindow.of("2026-06-30")
    by = ("owner",) if len(owners) > 1 else ()
    frame = (frame if by else frame.drop(columns="owner")).reset_index(drop=True)
    return StageHazards(frame=frame, stages=tuple(stages), by=by, window=window)


CHARTS = {
    "four stages": lambda: plot_time_in_stage(hazards_of()),
    "one stage": lambda: plot_time_in_stage(hazards_of(("Lead", "Won"))),
    "long names": lambda: plot_time_in_stage(hazards_of(LONG)),
    "Chinese names": lambda: plot_time_in_stage(hazards_of(HAN)),
    "late medians": lambda: plot_time_in_stage(hazards_of(leave=0.012)),
    "a fit": lambda: plot_time_in_stage(CompetingExits().fit(hazards_of(), seed=1, draws=50)),
    "somewhere nobody": lambda: plot_time_in_stage(hazards_of(size=3, watched=2)),
}  # fmt: skip


@pytest.fixture(params=CHARTS, scope="module")
def chart(request):
    return CHARTS[request.param]()


def boxes(chart):
    """Bounding boxes of all text that can be seen, in pixels, and that of the figure."""
    renderer = chart.figure.canvas.get_renderer()
    with theme.styled():
        chart.figure.draw(renderer)
        texts = [text for text in chart.figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
        shown = [text for text in texts if text.axes is None or text.axes.axison]
        return {f"{text.get_text()!r} #{i}": text.get_window_extent(renderer) for i, text in enumerate(shown)}, chart.figure.bbox


@pytest.mark.skipif(len(theme.fonts()) == 1, reason="no Chinese font is installed here")
def test_no_text_is_cut_or_covered_by_other_text(chart):
    found, page = boxes(chart)
    cut = [name for name, box in found.items() if box.x0 < -1 or box.y0 < -1 or box.x1 > page.x1 + 1 or box.y1 > page.y1 + 1]
    assert cut == []
    shrunk = {name: box.padded(-1.5) for name, box in found.items()}
    covered = [(a, b) for (a, one), (b, other) in itertools.combinations(shrunk.items(), 2) if one.overlaps(other)]
    assert covered == []
    assert len(found) > 8


def test_no_letter_is_smaller_than_eight_points_and_the_figure_fits_a_column(chart):
    sizes = [text.get_fontsize() for text in chart.figure.findobj(Text) if text.get_text().strip()]
    assert min(sizes) >= 8
    assert chart.figure.get_figwidth() <= 6.6


def test_bands_are_as_high_as_the_shares():
    hazards = hazards_of()
    chart, curves = plot_time_in_stage(hazards), incidence_curves(hazards)
    for axes, stage in zip(chart.axes, NAMES, strict=False):
        wide = curves[curves["stage"] == stage].pivot(index="time", columns="state", values="share")
        advanced, still, lost = (band.get_paths()[0].vertices for band in axes.collections)
        for moment in wide.index[::7]:
            row = wide.loc[moment]
            for band, low, high in ((advanced, 0, row["advanced"]), (still, row["advanced"], row["advanced"] + row["open"]),
                                    (lost, row["advanced"] + row["open"], 1)):  # fmt: skip
                heights = band[np.isclose(band[:, 0], moment), 1]
                assert np.isclose(heights, low).any()
                assert np.isclose(heights, high).any()


def test_the_marked_median_is_that_of_the_table():
    hazards = hazards_of()
    table = time_in_stage(hazards).query("until == 'left'").set_index("stage")
    chart = plot_time_in_stage(hazards)
    for axes, stage in zip(chart.axes, NAMES, strict=False):
        dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert [line.get_xdata()[0] for line in dashed] == [table.loc[stage, "median"]]
        assert f"half had left by day {table.loc[stage, 'median']}" in chart.alt
    late = plot_time_in_stage(hazards_of(leave=0.002))
    assert "median not reached" in late.alt
    assert not [line for axes in late.axes for line in axes.lines]


def test_a_fit_is_drawn_over_its_counts():
    hazards = hazards_of()
    fit = CompetingExits().fit(hazards, seed=1, draws=200)
    plain, fitted = plot_time_in_stage(hazards), plot_time_in_stage(fit)
    assert len(fitted.axes[0].lines) > len(plain.axes[0].lines)
    line = fitted.axes[0].lines[-3].get_xydata()
    model = fit.incidence(line[1:, 0]).sel(stage="Lead").sel(cause="advanced")
    assert any(
        np.allclose(drawn.get_ydata()[1:], model.point) for drawn in fitted.axes[0].lines if len(drawn.get_ydata()) == len(line)
    )
    assert plot_time_in_stage(
        CompetingExits(group="owner").fit(hazards_of(owners=("Ann", "Bo")), seed=1, method="prior", draws=20)
    ).alt


def test_the_same_chart_is_the_same_bytes(tmp_path):
    one, other = (plot_time_in_stage(hazards_of()).save(tmp_path / f"{i}.png").read_bytes() for i in (1, 2))
    assert one == other


def test_the_table_shows_the_numbers_and_what_is_missing():
    hazards = hazards_of(owners=("Ann", "Bo"), leave=0.03)
    html = time_table(hazards).as_raw_html()
    for row in time_in_stage(hazards).to_dict("records"):
        if not pd.isna(row["median"]) and not pd.isna(row["median_upper"]):
            assert f"{row['median']} ({row['median_lower']} to {row['median_upper']})".replace(" ", "\N{NO-BREAK SPACE}") in html
    assert "Ann" in html
    assert "90% log-log interval in brackets; as of 2026-06-30" in html
    assert "nan" not in html.lower().replace("finance", "")
    assert "not reached" in time_table(hazards_of(leave=0.004)).as_raw_html()
    assert html == time_table(hazards).as_raw_html()
    assert "Ann" not in time_table(hazards, by=()).as_raw_html()


def test_a_real_export_is_drawn():
    log = read_crm("bundled:crm_second")
    chart = plot_time_in_stage(log.hazards())
    assert len(chart.axes) == 6  # five stages that can be left, and an empty place
    assert all(stage in chart.alt for stage in log.stage_names[:-1])
