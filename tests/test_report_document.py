"""Is the report one thing in every format: the library's numbers, the same bytes, nobody's name, and whole or not at all?"""

import json
import re
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from docx import Document as read_docx
from openpyxl import load_workbook
from typer.testing import CliRunner

from funnelstats.cli import app
from funnelstats.data.counts import CountsLog
from funnelstats.data.crm import read_crm
from funnelstats.data.simulate import simulate_crm
from funnelstats.data.stages import StageCounts
from funnelstats.data.transactions import Transactions
from funnelstats.decisions.league import league_table
from funnelstats.errors import DataError
from funnelstats.inference.diagnose import Check, Diagnosis
from funnelstats.models.exits import CompetingExits
from funnelstats.models.hierarchical import HierarchicalConversion
from funnelstats.models.rates import overall_rate
from funnelstats.models.timing import time_in_stage
from funnelstats.report import document as documents
from funnelstats.report import sections_ahead, writing
from funnelstats.report.material import Material, said
from funnelstats.report.page import to_html
from funnelstats.report.plain_text import to_json, to_markdown
from funnelstats.report.privacy import pseudonymise
from funnelstats.report.section import Column, Grid
from funnelstats.report.sections_funnel import funnel
from funnelstats.report.shelf import Shelf
from funnelstats.report.writing import FORMATS, write_report

pytestmark = pytest.mark.filterwarnings("ignore::funnelstats.errors.ImmatureWarning")  # the sentences say "so far"
FITS: dict = {}
SIZE = {"draws": 300, "chains": 4, "seed": 3}
KEYS = ["funnel", "time", "bottleneck", "league", "forecast", "value", "customers", "audit", "methods", "diagnostics"]


@pytest.fixture(scope="module", autouse=True)
def sampled_once():
    """Fits of the crossed model are kept for the other tests of this file: equal counts and settings give equal draws."""
    fit = HierarchicalConversion.fit

    def kept(model, data, **settings):
        key = (data.digest, str(model), str(settings))
        if key not in FITS:
            FITS[key] = fit(model, data, **settings)
        return FITS[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HierarchicalConversion, "fit", kept)
        patch.setattr(sections_ahead, "ORIGINS", 2)
        yield


@pytest.fixture(scope="module")
def world():
    """A team whose people, deals and companies have names that nothing else is called by."""
    return simulate_crm(
        seed=4,
        n_leads=900,
        owners=("Ada Birch", "Bruno Cedar", "Clara Dale", "Dario Elm", "Elena Fern"),
        as_of="2026-06-30",
        dirty={"skipped_stage": 0.03},
    )


@pytest.fixture(scope="module")
def log(world):
    events = world.events.assign(owner="Owner-of-" + world.events["owner"], entity="deal_" + world.events["entity"].astype(str))
    return read_crm(events.drop(columns="region"), mapping=_mapping(world), as_of=world.as_of)


def _mapping(world):
    spec = dict(world.mapping)
    return spec | {"columns": {name: column for name, column in spec["columns"].items() if name != "region"}}


@pytest.fixture(scope="module")
def made(log, tmp_path_factory):
    """The default report in every format, with its document."""
    folder = tmp_path_factory.mktemp("report")
    paths = [folder / f"report{ending}" for ending in FORMATS]
    return write_report(log, paths, **SIZE), folder


def content(folder, ending):
    """Every word of a written report, whatever the format."""
    raw = (folder / f"report{ending}").read_bytes()
    if ending in (".docx", ".xlsx"):
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            return "\n".join(archive.read(name).decode("utf-8", "replace") for name in archive.namelist() if name.endswith("xml"))
    return raw.decode()


# -- the numbers are the library's -------------------------------------------------------------------------------------
def test_sections_stand_in_order_and_nothing_is_missing(made):
    document, _ = made
    assert [one.key for one in document.sections] == KEYS
    assert {one.key for one in document.sections if one.missing} == {"customers"}
    assert [one.text for one in document.headlines] == [one.sentences[0].text for one in document.sections
                                                       if one.headline and not one.missing]  # fmt: skip


def test_numbers_are_those_of_the_library(made, log):
    document, _ = made
    seen = pseudonymise(log)
    counts = seen.stages()
    funnel = document.section("funnel")
    assert str(overall_rate(counts, seed=3)) in funnel.sentences[0].text
    frame = funnel.tables[0].frame
    pd.testing.assert_series_equal(frame["entered"].astype("int64"), counts.frame["entered"], check_names=False)
    times = time_in_stage(seen.hazards())
    shown = document.section("time").tables[0].frame
    kept = [row for row in range(len(times)) if (row, "exits") not in document.section("time").tables[0].hidden]
    np.testing.assert_allclose(shown["share"].iloc[kept].astype(float), times["share"].iloc[kept].astype(float))
    audit = document.section("audit").tables[0].frame
    assert set(audit["check"]) == set(seen.audit().found["check"])


def test_league_is_that_of_the_fit_and_small_counts_are_not_in_it(made, log):
    document, _ = made
    seen = pseudonymise(log)
    m = Material(log=seen, **SIZE)
    whole = league_table(m.conversion.standardised_rates("owner"), seen.stages(["owner", *m.mix]), group="owner", mix=m.mix)
    table = document.section("league").tables[0]
    np.testing.assert_allclose(table.frame["adjusted"].astype(float), whole.frame["adjusted"])
    assert [str(name) for name in table.frame["member"]] == list(whole.frame.index)
    small = whole.frame["won"].between(1, 9).to_numpy()
    assert small.any(), "the world should have small counts, or nothing is tested"
    assert table.frame["won"][small].isna().all()
    assert table.frame["raw"][small].isna().all()


def test_value_per_lead_is_rate_times_amount(made, log):
    document, _ = made
    won = log.won_amounts().iloc[0]
    per_lead = next(card for card in document.cards if card.recipe.get("quantity") == "value_per_lead")
    counts = log.stages().frame["entered"]
    assert per_lead.point == pytest.approx(counts.iloc[-1] / counts.iloc[0] * won["mean"], rel=0.05)


# -- the formats agree -------------------------------------------------------------------------------------------------
class Words(HTMLParser):
    """Text, figures and links of a page."""

    def __init__(self):
        super().__init__()
        self.text, self.images, self.links, self.ids, self.loads = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.ids += [known["id"]] if "id" in known else []
        self.links += [known["href"]] if tag == "a" else []
        self.images += [known] if tag == "img" else []
        self.loads += [known[name] for name in ("src", "href") if name in known and tag not in ("a",)]

    def handle_data(self, data):
        self.text.append(data)


def test_every_format_says_every_sentence(made):
    document, folder = made
    sentences = [one.text for section in document.sections for one in section.sentences]
    assert len(sentences) > 25
    words = Words()
    words.feed(content(folder, ".html"))
    page = " ".join(words.text)
    word = "\n".join(part.text for part in read_docx(folder / "report.docx").paragraphs)
    plain = json.loads(content(folder, ".json"))
    book = load_workbook(folder / "report.xlsx")
    told = {str(cell.value).removeprefix("'") for row in book["Report"].iter_rows() for cell in row}
    markdown = content(folder, ".md").replace("\\", "")
    in_json = {one["text"] for section in plain["sections"] for one in section["sentences"]}
    for text in sentences:
        assert text in page
        assert text in word
        assert text in told
        assert text in in_json
        assert text in markdown


def test_tables_hold_the_same_numbers_in_page_and_workbook(made):
    document, folder = made
    grid = document.section("league").tables[0]
    sheet = load_workbook(folder / "report.xlsx")[grid.title]
    rows = list(sheet.iter_rows(values_only=True))
    assert list(rows[0]) == grid.values()[0]
    shown = dict(zip(rows[0], rows[1], strict=True))
    assert shown["Adjusted rate"] == pytest.approx(grid.frame["adjusted"].iloc[0])
    assert grid.rows()[0][4].startswith(f"{shown['Adjusted rate']:.1%}")
    table = next(one for section in json.loads(content(folder, ".json"))["sections"] for one in section["tables"]
                 if one["title"] == grid.title)  # fmt: skip
    assert table["rows"] == grid.values()[1]


def test_page_asks_nothing_of_a_network_and_its_links_lead_somewhere(made):
    document, folder = made
    words = Words()
    words.feed(content(folder, ".html"))
    assert [load for load in words.loads if not load.startswith("data:")] == []
    assert {link.removeprefix("#") for link in words.links} <= set(words.ids)
    assert len(words.ids) == len(set(words.ids))
    pictures = [picture for section in document.sections for picture in section.pictures]
    assert [image["alt"] for image in words.images] == [picture.alt for picture in pictures]
    assert len(pictures) >= 4
    assert re.findall("<script[^>]*>", content(folder, ".html")) == ['<script type="application/json" id="funnelstats-cards">']
    assert (
        Shelf.of(folder / "report.html").cards == Shelf.of(folder / "report.json").cards
    )  # data for programs, nothing that runs
    assert all(picture.twin.rows() for picture in pictures)


def test_word_document_has_the_figures_with_their_words(made):
    document, folder = made
    pictures = [picture for section in document.sections for picture in section.pictures]
    shapes = read_docx(folder / "report.docx").inline_shapes
    assert [shape._inline.docPr.get("descr") for shape in shapes] == [picture.alt for picture in pictures]


# -- the same bytes ------------------------------------------------------------------------------------------------
def test_two_runs_give_the_same_bytes(made, log, tmp_path):
    _, folder = made
    FITS.clear()
    write_report(log, [tmp_path / f"report{ending}" for ending in FORMATS], **SIZE)
    for ending in FORMATS:
        assert (tmp_path / f"report{ending}").read_bytes() == (folder / f"report{ending}").read_bytes(), ending


# -- nobody's name -------------------------------------------------------------------------------------------------
def test_no_identifier_of_the_input_is_in_a_default_report(made, world, log):
    _, folder = made
    people = set(world.events["owner"]) | {f"Owner-of-{name}" for name in world.events["owner"]}
    deals = set(world.events["entity"].astype(str).map("deal_{}".format))
    for ending in FORMATS:
        text = content(folder, ending)
        assert not [name for name in people if name in text], ending
        assert not deals & set(re.findall(r"deal_\w+", text)), ending


def only(monkeypatch, *keys):
    """Make no other sections, to be quick."""
    monkeypatch.setattr(documents, "OF_A_LOG", {key: documents.OF_A_LOG[key] for key in keys})


def test_names_are_shown_when_asked(log, world, monkeypatch):
    only(monkeypatch, "league", "audit")
    document = write_report(log, names=True, **SIZE)
    text = to_markdown(document)
    assert all(f"Owner-of-{name}" in text for name in set(world.events["owner"]))
    assert document.section("audit").tables[0].columns["first"].head == "First of them"


def test_counts_from_one_to_nine_stand_in_no_table(made):
    document, _ = made
    for section in document.sections:
        for grid in section.tables:
            for name, column in grid.columns.items():
                if column.kind == "count":
                    values = pd.to_numeric(grid.frame[name]).dropna()
                    assert not values.between(1, 9).any(), (section.key, name)


def test_one_small_part_of_a_sum_takes_a_second_with_it():
    frame = pd.DataFrame(
        {
            "stage": ["Lead", "Won"],
            "entered": [100, 40],
            "advanced": [40, 0],
            "lost": [55, 0],
            "open": [5, 0],
            "rate": [0.4, None],
        }
    )
    columns = {"stage": Column(head="Stage"), **{name: Column(head=name, kind="count") for name in ("entered", "advanced", "lost", "open")},
               "rate": Column(head="Rate", kind="percent", of=("advanced",))}  # fmt: skip
    grid = Grid.of("Stages", frame, columns, smallest=10, total=False)
    # 40 advanced is also who entered Won: hiding that one would leave 5 = 100 - 40 - 55
    assert grid.rows()[0] == ["Lead", "100", "40", "not shown", "under 10", "40.0%"]
    assert Grid.of("Stages", frame, columns, smallest=1).rows()[0] == ["Lead", "100", "40", "55", "5", "40.0%"]


def test_step_whose_cells_are_hidden_is_not_spoken_of():
    frame = pd.DataFrame({"stage": ["Lead", "Talk", "Offer", "Won"], "entered": [300, 180, 90, 4], "lost": [100, 70, 60, 0],
                          "open": [20, 20, 26, 0]})  # fmt: skip
    counts = StageCounts.of(frame)
    section = funnel(Material(log=CountsLog(counts=counts)))
    hidden = {row for row, name in section.grids[0].hidden if name == "step_rate"}
    assert 2 in hidden
    told = [stage for stage in counts.stages if any(one.text.startswith(f"From {stage}, ") for one in section.sentences)]
    assert told == [stage for row, stage in enumerate(counts.stages[:-1]) if row not in hidden]
    assert len([card for card in section.cards if card.name == "step_rate"]) == len(told) > 0
    assert any("under 10 is left out" in one.text for one in section.sentences)


def test_counts_only_says_what_it_cannot(log, tmp_path):
    document = write_report(log, tmp_path / "counts.html", counts_only=True, **SIZE)
    missing = {one.key: one.missing for one in document.sections if one.missing}
    assert {"time", "value", "audit"} <= set(missing)
    assert all("counts" in missing[key] or "no amounts" in missing[key] for key in ("time", "value", "audit"))
    assert document.section("league").tables
    assert all(card.recipe["quantity"] and card.recipe["counts"]["smallest"] == 10 for card in document.cards)


# -- a failed diagnosis --------------------------------------------------------------------------------------------
FAILED = Diagnosis(checks=(Check(name="largest R-hat", value=1.7, bound="at most 1.01", verdict="FAIL"),), method="NUTS")


def test_fail_blocks_ranking_and_citation(log, monkeypatch):
    only(monkeypatch, "league")
    good = Material.conversion.func
    monkeypatch.setattr(Material.conversion, "func", lambda m: replace(good(m), diagnosis=FAILED))
    document = write_report(log, **SIZE)
    assert "diagnosis" in document.section("league").missing
    assert not document.section("league").tables
    assert "FAIL" in document.section("diagnostics").sentences[0].text


def test_number_of_a_failed_fit_is_not_printed(log, monkeypatch):
    only(monkeypatch, "funnel")
    fit = CompetingExits().fit(log.hazards(), seed=1, draws=100)
    document = write_report([log, replace(fit, diagnosis=FAILED)], names=True, **SIZE)
    assert "No parameters of CompetingExits are printed" in document.section("fits").sentences[-1].text
    card = replace(document.cards[0], verdict="FAIL", diagnosis=str(FAILED))
    text = said(card, f"it is {card.said}").text
    assert "may not be cited" in text
    assert card.said not in text
    blocked = replace(document, sections=(replace(document.section("funnel"), cards=(card,)),))
    page = to_html(blocked)
    assert "May not be cited" in page
    assert "@misc" not in page
    assert json.loads(to_json(blocked))["cards"][0]["verdict"] == "FAIL"


# -- whole or not at all -------------------------------------------------------------------------------------------
def test_run_that_fails_writes_nothing(log, tmp_path, monkeypatch):
    old = tmp_path / "report.html"
    old.write_text("old")
    only(monkeypatch, "funnel")
    monkeypatch.setitem(writing.FORMATS, ".docx", lambda document: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(log, [old, tmp_path / "report.docx"], **SIZE)
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [old]


def test_defect_of_ours_is_raised_and_a_fault_of_the_data_is_said(log, monkeypatch):
    def broken(m):
        raise KeyError("ours")

    def refused(m):
        raise DataError("deals", [])

    monkeypatch.setattr(documents, "OF_A_LOG", {key: (title, refused) for key, (title, _) in documents.OF_A_LOG.items()})
    document = write_report(log, **SIZE)
    assert document.sections[0].missing == "0 problems in deals"
    assert [one.key for one in document.sections] == KEYS  # the key of a section does not depend on whether it could be made
    monkeypatch.setattr(documents, "OF_A_LOG", {"broken": ("Broken", broken)})
    with pytest.raises(KeyError, match="ours"):
        write_report(log, **SIZE)


def test_wrong_paths_are_named_together_before_anything_is_computed(tmp_path):
    with pytest.raises(DataError) as caught:
        write_report(None, [tmp_path / "a.pdf", tmp_path / "nowhere" / "b.html"], smallest=0)
    assert [problem.what.split(",")[0] for problem in caught.value.problems] == [
        "expected a path that ends with .html", "the folder is not there", "expected 1 or more"]  # fmt: skip
    with pytest.raises(DataError, match="expected a log or fits, found str"):
        write_report("deals.csv")


# -- fits and orders -----------------------------------------------------------------------------------------------
def test_report_on_fits_alone(log):
    fit = CompetingExits().fit(log.hazards(), seed=1, draws=100)
    document = write_report(fit)
    assert [one.key for one in document.sections] == ["fits", "methods", "diagnostics"]
    assert "CompetingExits" in document.section("methods").sentences[0].text
    assert document.data_sha256 == fit.record.data_digest


def test_orders_add_customers_without_their_names(monkeypatch, log):
    only(monkeypatch, "customers")
    document = write_report(log, orders=Transactions.of("bundled:transactions"), **SIZE)
    section = document.section("customers")
    assert not section.missing
    assert "CNY" in section.sentences[0].text
    assert "C00001" not in to_json(document)


# -- the command line ----------------------------------------------------------------------------------------------
def call(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"NO_COLOR": "1"})


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """A folder with a file of counts and its mapping, where the command is called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counts.csv").write_text("step,entered,open\nLead,400,30\nOpportunity,120,20\nWon,44,0\n")
    mapping = 'stages = ["Lead", "Opportunity", "Won"]\nshape = "counts"\nstage = "step"\n'
    (tmp_path / "mapping.toml").write_text(mapping + '[columns]\nentered = "entered"\nopen = "open"\n')
    return tmp_path


def test_command_writes_what_was_asked_and_its_numbers_are_cited_and_verified(counted):
    done = call("report", "counts.csv", "--mapping", "mapping.toml", "-o", "a.html", "-o", "a.json")
    assert done.exit_code == 0, done.output
    assert {path.name for path in counted.iterdir()} == {"counts.csv", "mapping.toml", "a.html", "a.json"}
    told = json.loads((counted / "a.json").read_text())
    assert all(one["text"] in done.stdout for one in told["headlines"])
    assert {section["key"] for section in told["sections"] if section["missing"]} >= {
        "time",
        "bottleneck",
        "league",
        "value",
        "audit",
    }
    won = next(card["id"] for card in told["cards"] if card["name"] == "overall_rate")
    assert "@misc" in call("cite", won, "--in", "a.json").stdout
    again = call("verify", won, "--in", "a.json")
    assert again.exit_code == 0, again.output
    (counted / "later.csv").write_text("step,entered,open\nLead,800,60\nOpportunity,400,40\nWon,160,0\n")
    later = call("report", "later.csv", "--mapping", "mapping.toml", "-o", "b.json", "--compare", "a.json")
    assert later.exit_code == 0, later.output
    changed = next(one for one in json.loads((counted / "b.json").read_text())["sections"] if one["key"] == "changes")
    won_then = next(row for row in changed["tables"][0]["rows"] if row[0] == "overall_rate")
    assert "higher" in won_then
    assert "data" in won_then[-1]
    (counted / "counts.csv").write_text("step,entered,open\nLead,401,31\nOpportunity,120,20\nWon,44,0\n")
    assert call("verify", won, "--in", "a.json").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nowhere.csv", "-o", "a.html"), "nowhere.csv"),
        (("bundled:crm_counts", "-o", "a.pdf"), "expected a path that ends with"),
        (("bundled:crm_counts", "-o", "a.html", "--key-file", "no.key"), "not readable"),
        (("bundled:crm_counts", "-o", "a.html", "--compare", "no.json"), "no such report"),
    ],
)
def test_command_says_what_is_wrong_and_writes_nothing(arguments, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call("report", *arguments)
    assert done.exit_code == 1
    assert complaint in done.output
    assert list(tmp_path.iterdir()) == []
