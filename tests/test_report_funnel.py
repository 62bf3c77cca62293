"""Figures and tables of the funnel: do they show the numbers, to every reader, with nothing cut or overlapping?"""

import itertools
import json
from io import BytesIO

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, FunnelStatsWarning
from funnelstats.estimate import Estimate, NotIdentified
from funnelstats.models.rate_table import rate_table
from funnelstats.report import theme
from funnelstats.report.cohort_figures import plot_cohorts
from funnelstats.report.figures import Chart, new_figure
from funnelstats.report.funnel_figures import MOST_PANELS, plot_funnel
from funnelstats.report.say import RESULT_TYPE, percent, publish, say
from funnelstats.report.tables import cohort_table, funnel_table
from funnelstats.window import ObservationWindow

NAMES = ("Lead", "Marketing", "Sales Lead", "Opportunity", "Won")
LONG = (
    "Lead (imported from the trade fair list)",
    "Marketing qualified",
    "Sales accepted and qualified",
    "Proposal, $5 or $6",
    "Won",
)
HAN = ("潜在客户", "市场营销合格线索阶段", "销售线索", "商机 (Opportunity)", "成交")


def counts_of(segments=("all",), *, stages=NAMES, by="owner", young=40, rng=None):
    """Funnels with open entities at every step but the last; ``young`` of each hundred entrants are maturing at the third."""
    rng, rows = rng or np.random.default_rng(4), []
    for segment in segments:
        entered = int(rng.integers(200, 900))
        for stage in stages:
            advanced = int(rng.binomial(entered, 0.5)) if stage != stages[-1] else 0
            still = int(rng.binomial(entered - advanced, 0.3)) if stage != stages[-1] else 0
            lost = entered - advanced - still if stage != stages[-1] else 0
            rows.append((segment, stage, entered, advanced, lost, still, still if stage == stages[2] and young else 0))
            entered = advanced
    frame = pd.DataFrame(rows, columns=[by, "stage", "entered", "advanced", "lost", "open", "maturing"])
    keep = (by,) if len(segments) > 1 else ()
    window = ObservationWindow.of("2026-06-30")
    return StageCounts(frame=frame if keep else frame.drop(columns=by), stages=tuple(stages), by=keep, window=window)


MONTHS = tuple(str(month) for month in pd.period_range("2025-01", periods=9, freq="M"))
PEOPLE = [f"Consultant {i} | Partner Referral" for i in range(12)]
CHARTS = {
    "one funnel": lambda: plot_funnel(counts_of()),
    "long names": lambda: plot_funnel(counts_of(stages=LONG)),
    "Chinese names": lambda: plot_funnel(counts_of(stages=HAN)),
    "two panels": lambda: plot_funnel(counts_of(("Ann", "Bo"))),
    "twelve panels of long names": lambda: plot_funnel(counts_of(PEOPLE, stages=LONG)),
    "three panels, Chinese": lambda: plot_funnel(counts_of(("王小明", "李华", "张伟"), stages=HAN)),
    "cohorts": lambda: plot_cohorts(counts_of(MONTHS, by="entry_month")),
    "cohorts, long names": lambda: plot_cohorts(counts_of(MONTHS, by="entry_month", stages=LONG)),
    "nobody entered": lambda: plot_funnel(StageCounts.of({"Lead": 20, "Demo": 0, "Won": 0})),
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
    assert chart.figure.get_figwidth() <= 6.6  # at 400 pixels, eight points are still 6.7 pixels high


def test_dollars_in_a_name_are_not_read_as_mathematics():
    chart = plot_funnel(StageCounts.of({"Lead": 40, "from $5 to $6": 20, "Won": 9}))
    named = [text for text in chart.figure.findobj(Text) if "$5" in text.get_text()]
    assert named
    assert not any(text.get_parse_math() for text in named)


@pytest.mark.parametrize("stages", [NAMES, HAN], ids=["Latin", "Chinese"])
def test_bars_are_as_long_as_the_counts_and_open_is_a_part_of_its_own(stages):
    counts = counts_of(stages=stages)
    bars = plot_funnel(counts).figure.axes[0]
    by_look = {}
    for patch in bars.patches:
        look = (mpl.colors.to_hex(patch.get_facecolor()), patch.get_hatch())
        by_look[look] = by_look.get(look, 0) + patch.get_width()
    frame = counts.frame
    assert by_look[theme.ADVANCED, None] == frame["advanced"].sum() + frame["entered"].iloc[-1]
    assert by_look["#ffffff", theme.OPEN_HATCH] == frame["open"].sum()
    assert by_look[theme.LOST, None] == frame["lost"].sum()


def test_intervals_are_drawn_where_the_formula_puts_them_and_young_ones_are_hatched():
    counts = counts_of()
    table, rates = rate_table(counts), plot_funnel(counts).figure.axes[1]
    drawn = [(p.get_x(), p.get_x() + p.get_width(), p.get_hatch()) for p in rates.patches if isinstance(p, Rectangle)]
    steps = table[["step_lower", "step_upper"]].to_numpy(dtype=float)[:-1]
    whole = table[["from_start_lower", "from_start_upper"]].to_numpy(dtype=float)[-1:]
    np.testing.assert_allclose([bounds[:2] for bounds in drawn], np.vstack([steps, whole]))
    young = [*table["immature"][:-1], table["immature_path"].iloc[-1]]
    assert [bool(hatch) for *_, hatch in drawn] == young == [False, False, True, False, True]


def test_parts_differ_in_lightness_so_that_grey_print_keeps_them_apart():
    def luminance(colour):
        parts = np.array(mpl.colors.to_rgb(colour))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(one, other):
        low, high = sorted((luminance(one), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    assert contrast(theme.ADVANCED, theme.LOST) > 4.5
    assert contrast(theme.ADVANCED, "white") > 7
    assert contrast(theme.OPEN, "white") > 4.5  # the hatch on its white ground
    assert contrast(theme.FAINT, "white") > 4.5  # small print
    ramp = [luminance(shade) for shade in theme.HEAT]
    assert ramp == sorted(ramp, reverse=True)


def test_the_grey_picture_still_shows_three_parts():
    """Middle of the first bar in the rendered picture, as grey: dark, then hatch with white between, then pale."""
    counts = StageCounts.of(pd.DataFrame({"stage": ["Lead", "Won"], "entered": [300, 100], "lost": [100, 0]}))
    chart = plot_funnel(counts)
    picture = np.asarray(Image.open(BytesIO(chart._render("png"))).convert("L")).astype(int)
    axes = chart.figure.axes[0]
    row = picture.shape[0] - int(axes.transData.transform((0, 0))[1] / chart.figure.dpi * 192)
    edges = [int(axes.transData.transform((x, 0))[0] / chart.figure.dpi * 192) for x in (0, 100, 200, 300)]
    parts = [picture[row - 8 : row + 8, a + 8 : b - 8] for a, b in itertools.pairwise(edges)]
    means = [part.mean() for part in parts]
    assert means[0] < 90
    assert means[2] > 200
    assert parts[1].min() < 140
    assert parts[1].max() > 240


def test_alternative_text_holds_the_numbers_and_travels_with_the_picture():
    counts = StageCounts.of({"Lead": 263, "Won": 81})
    chart = plot_funnel(counts)
    assert "Of 263 in Lead, 81 advanced, 31% (26 to 36); 0 are open, 182 lost." in chart.alt
    assert "81 reached Won" in chart.alt
    assert "90% Wilson interval" in chart.alt
    data, metadata = chart._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == data["text/plain"] == chart.alt
    json.dumps([data, metadata])
    assert "as of 2026-06-30" in CHARTS["cohorts"]().alt
    assert CHARTS["cohorts"]().alt.count("so far") == 2 * len(MONTHS) - len(MONTHS)


def test_the_same_counts_give_the_same_bytes_and_nothing_global_changes(tmp_path):
    from matplotlib import pyplot as plt

    before = dict(mpl.rcParams)
    first, again = plot_funnel(counts_of()), plot_funnel(counts_of())
    assert first._render("png") == again._render("png")
    assert first.save(tmp_path / "a.svg").read_bytes() == again.save(tmp_path / "b.svg").read_bytes()
    assert Image.open(BytesIO(first._render("png"))).size[0] == round(first.figure.get_figwidth() * 192)
    assert dict(mpl.rcParams) == before
    assert mpl.rcParams["text.parse_math"]  # nor has any figure before
    assert plt.get_fignums() == []


def test_letters_that_no_font_has_are_said_once_and_drawn_as_boxes():
    with pytest.warns(FunnelStatsWarning, match="no installed font can draw 𒀀") as caught:
        chart = plot_funnel(StageCounts.of({"Lead 𒀀": 20, "Won": 4}))
    assert len(caught) == 1
    assert len(chart._render("png")) > 1000


def test_more_segments_than_fit_are_named_in_number():
    many = counts_of([f"s{i:02}" for i in range(MOST_PANELS + 3)])
    chart = plot_funnel(many)
    assert "The 3 smaller segments are in the table only." in chart.alt
    assert len([axes for axes in chart.figure.axes if axes.axison]) == MOST_PANELS
    smallest = many.frame[many.frame["stage"] == "Lead"].nsmallest(3, "entered")["owner"]
    titles = " ".join(axes.get_title(loc="left") for axes in chart.figure.axes)
    assert [name for name in many.frame["owner"].unique() if name not in titles] == sorted(smallest)
    assert all(name in funnel_table(many).as_raw_html() for name in smallest)


def test_what_cannot_be_drawn_is_refused_with_the_remedy():
    with pytest.raises(DataError, match=r'by=.*count with by="entry_month"|expected counts by one time of entry'):
        plot_cohorts(counts_of(("Ann", "Bo")))
    both = counts_of(MONTHS, by="entry_month")
    two = StageCounts(frame=both.frame.assign(owner="Ann"), stages=both.stages, by=("entry_month", "owner"), window=both.window)
    with pytest.raises(DataError, match=r"counts.select\(owner=...\)"):
        plot_cohorts(two)
    with pytest.raises(DataError, match="expected at least one segment"):
        plot_funnel(StageCounts(frame=both.frame.iloc[:0], stages=both.stages, by=("entry_month",)))
    with pytest.raises(DataError, match="expected what the figure shows in words"):
        Chart(new_figure(height=1), " ")


# -- tables --------------------------------------------------------------------------------------------------------
def test_the_table_names_denominators_interval_and_immaturity():
    html = funnel_table(counts_of()).as_raw_html().replace("\N{NO-BREAK SPACE}", " ")
    for text in ("Advanced, of those who entered the stage", "Entered, of all who entered Lead", "decided (win rate)",
                 "90% Wilson interval in brackets; as of 2026-06-30", "Definition: order furthest"):  # fmt: skip
        assert text in html
    table = rate_table(counts_of())
    for row in table.to_dict("records")[:-1]:
        share = percent(row["step_rate"], row["step_lower"], row["step_upper"])
        assert (f"{share} so far" in html) == row["immature"]
    mature = funnel_table(counts_of(young=0)).as_raw_html().replace("\N{NO-BREAK SPACE}", " ")
    assert "so far" not in mature.lower()


def test_tables_are_the_same_bytes_each_time_and_escape_names():
    counts = StageCounts.of({"<i>Lead</i>": 20, "Won": 4})
    html = funnel_table(counts).as_raw_html()
    assert html == funnel_table(counts).as_raw_html()
    assert "<i>Lead</i>" not in html
    assert "&lt;i&gt;Lead" in html
    named = counts_of(("<b>Ann</b>", "Bo"))
    assert "<b>Ann</b>" not in funnel_table(named).as_raw_html()
    assert "does not tell open from lost" in html


def test_cohort_table_has_a_row_for_each_cohort_and_group():
    counts = counts_of(MONTHS, by="entry_month")
    html = cohort_table(counts).as_raw_html()
    assert all(month in html for month in MONTHS)
    assert "Month of entry" in html
    frame = pd.concat([counts.frame.assign(owner=name) for name in ("Ann", "Bo")])
    frame = frame.sort_values(["entry_month", "owner"], kind="stable").reset_index(drop=True)
    both = StageCounts(frame=frame, stages=counts.stages, by=("entry_month", "owner"), window=counts.window)
    grouped = cohort_table(both).as_raw_html()
    assert grouped.count(">2025-01<") == 2
    assert ">Ann<" in grouped
    won = counts.frame[(counts.frame["entry_month"] == "2025-01") & (counts.frame["stage"] == "Won")]["entered"].item()
    first = counts.frame[counts.frame["entry_month"] == "2025-01"]["entered"].iloc[0]
    assert f"{100 * won / first:.0f}" in html


# -- sentences -----------------------------------------------------------------------------------------------------
def test_digits_follow_the_width_of_the_interval():
    assert percent(0.5431, 0.5301, 0.5559) == "54.3% (53.0 to 55.6)"
    assert percent(0.5431, 0.42, 0.66) == "54% (42 to 66)"
    assert percent(0.00123, 0.00101, 0.00147) == "0.123% (0.101 to 0.147)"
    assert percent(1.0, 1.0, 1.0) == "100%"
    money = Estimate.of(np.linspace(118_234, 129_432, 101), description="revenue", unit="CNY")
    assert str(money) == "124,000 CNY (90% interval 119,000 to 129,000)"


def test_outside_a_notebook_a_sentence_is_printed(capsys):
    say("One line.")
    publish("x", NotIdentified("the slope", "M is constant"), sentence="No slope.")
    assert capsys.readouterr().out == "One line.\nNo slope.\n"
    with pytest.raises(DataError, match="expected one number"):
        publish("x", Estimate.of(np.ones((5, 2)), description="rates", coords={"stage": ["a", "b"]}), sentence="")
    with pytest.raises(DataError, match="expected a name"):
        publish("", NotIdentified("the slope", "M is constant"), sentence="No slope.")


def test_in_a_notebook_a_sentence_is_markdown_and_a_result_is_handed_on():
    import nbclient
    import nbformat

    source = """
from funnelstats.estimate import Estimate
from funnelstats.report.say import publish, say
rate = Estimate.of([0.02, 0.03, 0.04], description="leads won")
say(f"*{rate}*")
publish("headline", rate, sentence=f"{rate} won.")"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    shown = [output["data"] for output in notebook.cells[0].outputs if "data" in output]
    text = "3.0% (90% interval 2.1% to 3.9%)"
    assert shown[0] == {"text/markdown": f"*{text}*", "text/plain": f"*{text}*"}
    assert shown[1]["text/markdown"] == f"{text} won."
    expected = {"name": "headline", "description": "leads won", "sentence": f"{text} won.", "unit": "",
                "interval": "90% equal-tailed interval", "point": 0.03, "lower": 0.021, "upper": 0.039}  # fmt: skip
    assert shown[1][RESULT_TYPE] == {name: pytest.approx(v) if isinstance(v, float) else v for name, v in expected.items()}


def test_a_page_made_of_a_notebook_shows_the_alternative_text():
    import nbconvert
    import nbformat

    chart = plot_funnel(StageCounts.of({"Lead": 263, 'the "next" <one>': 100, "Won": 81}))
    data, metadata = chart._repr_mimebundle_()
    shown = nbformat.v4.new_output("execute_result", data, metadata=metadata)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("plot_funnel(counts)", outputs=[shown])])
    page, _ = nbconvert.HTMLExporter(template_name="basic").from_notebook_node(notebook)
    image = page[page.index("<img") : page.index("data:image/png")]
    assert "Of 263 in Lead, 100 advanced" in image
    assert 'the "next" <one>' in image.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">")
