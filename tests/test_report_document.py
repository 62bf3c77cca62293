"""Is a whole report one thing in every format: the library's numbers, the same bytes, nobody's name, every card computed again?"""

import json
import re
import zipfile
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from docx import Document as read_docx
from openpyxl import load_workbook
from typer.testing import CliRunner

from funnelstats.cli import app
from funnelstats.data.crm import read_crm
from funnelstats.data.simulate import simulate_crm
from funnelstats.data.transactions import Transactions
from funnelstats.decisions.league import league_table
from funnelstats.errors import DataError
from funnelstats.models.hierarchical import HierarchicalConversion
from funnelstats.models.rates import overall_rate
from funnelstats.models.timing import time_in_stage
from funnelstats.report import document as documents
from funnelstats.report import sections_ahead
from funnelstats.report import verify as verifying
from funnelstats.report.material import Material
from funnelstats.report.privacy import pseudonymise
from funnelstats.report.quantities import of_orders, quantity
from funnelstats.report.shelf import Shelf
from funnelstats.report.verify import verify
from funnelstats.report.writing import FORMATS, write_report

pytestmark = pytest.mark.filterwarnings("ignore::funnelstats.errors.ImmatureWarning")  # the sentences say "so far"
FITS: dict = {}
OF_A_LOG = {"overall_rate", "win_rate_of_decided", "step_rate", "median_time", "eventual_conversion", "bottleneck_probability", "bottleneck_gain",
            "league_first", "forecast_wins", "forecast_revenue", "mean_amount", "value_per_lead", "value_of_fixing"}  # fmt: skip
COUNTED = {"overall_rate", "win_rate_of_decided", "step_rate", "bottleneck_probability", "bottleneck_gain", "league_first"}
SIZE = {"draws": 300, "chains": 4, "seed": 3}
KEYS = ["funnel", "time", "bottleneck", "league", "forecast", "value", "customers", "audit", "methods", "diagnostics"]


def read_once(read):
    """Cards of one page are read with the same words: one reading serves them all."""
    logs: dict = {}

    def kept(card, data, near, key):
        words = {name: part for name, part in card.recipe.items() if name not in ("quantity", "settings", "seed")}
        known = str((words, of_orders(card.recipe["quantity"]), data))
        if known not in logs:
            logs[known] = read(card, data, near, key)
        return logs[known]

    return kept


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
        patch.setattr(sections_ahead, "ORIGINS", 1)
        patch.setattr(verifying, "_read", read_once(verifying._read))
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


def orders(path):
    """A small order book: sixty customers whose amounts differ, some of whom come back."""
    rng = np.random.default_rng(3)
    rows = [(f"buyer_{who}", day, round(float(spent * rng.gamma(4, 0.25)), 2)) for who in range(60) for spent in [rng.gamma(5, 8)]
            for day in pd.Timestamp("2025-07-01") + pd.to_timedelta(rng.integers(0, 330, rng.integers(1, 8)), unit="D")]  # fmt: skip
    pd.DataFrame(rows, columns=["customer", "at", "amount"]).to_csv(path, index=False)


@pytest.fixture(scope="module")
def place(world, tmp_path_factory):
    """A folder with an export and an order book."""
    place = tmp_path_factory.mktemp("export")
    events = world.events.assign(owner="Owner-of-" + world.events["owner"], entity="deal_" + world.events["entity"].astype(str))
    events.drop(columns="region").to_csv(place / "deals.csv", index=False)
    orders(place / "orders.csv")
    return place


@pytest.fixture(scope="module")
def log(world, place):
    spec = dict(world.mapping)
    spec |= {"columns": {name: column for name, column in spec["columns"].items() if name != "region"}}
    return read_crm(place / "deals.csv", mapping=spec, as_of=world.as_of)


def everything(log, place, folder):
    """The default report in every format, with its document: the dearest thing that is made here, so all tests share it."""
    book = Transactions.of(place / "orders.csv", currency="EUR")
    return write_report(log, [folder / f"report{ending}" for ending in FORMATS], orders=book, **SIZE)


@pytest.fixture(scope="module")
def made(log, place):
    folder = place / "whole"
    folder.mkdir()
    return everything(log, place, folder), folder


@pytest.fixture(scope="module")
def counted(log, place):
    """A report from counts alone, without orders."""
    folder = place / "counted"
    folder.mkdir()
    return write_report(log, folder / "report.html", counts_only=True, **SIZE), folder


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
    assert not [one.key for one in document.sections if one.missing]
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
def test_two_runs_give_the_same_bytes(made, log, place, tmp_path):
    _, folder = made
    FITS.clear()
    everything(log, place, tmp_path)
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
        assert "buyer_" not in text, ending


def test_counts_from_one_to_nine_stand_in_no_table(made):
    document, _ = made
    for section in document.sections:
        for grid in section.tables:
            for name, column in grid.columns.items():
                if column.kind == "count":
                    values = pd.to_numeric(grid.frame[name]).dropna()
                    assert not values.between(1, 9).any(), (section.key, name)


def test_counts_only_says_what_it_cannot(counted):
    document, _ = counted
    missing = {one.key: one.missing for one in document.sections if one.missing}
    assert {"time", "value", "customers", "audit"} <= set(missing)
    assert all("counts" in missing[key] or "no amounts" in missing[key] for key in ("time", "value", "audit"))
    assert document.section("league").tables
    assert all(card.recipe["quantity"] and card.recipe["counts"]["smallest"] == 10 for card in document.cards)


def test_customers_are_those_of_the_order_book(made):
    document, _ = made
    assert "EUR" in document.section("customers").sentences[0].text


# -- every number is computed again ---------------------------------------------------------------------------------
def test_every_card_of_a_page_is_cited_and_computed_again(made, place):
    _, folder = made
    shelf = Shelf.of(folder / "report.html")
    assert {card.name for card in shelf.cards} == OF_A_LOG | {"newcomer_value"}
    page = content(folder, ".html")
    for card in shelf.cards:
        assert f'<details id="{card.id}">' in page
        assert card.id in card.text()
        assert card.bibtex().startswith(f"@misc{{{card.id},")
        found = verify(card, near=(str(place),))
        assert found.reproduces, found
        assert found.again.id == card.id


def test_every_card_from_counts_alone_is_computed_again_from_the_export(counted, place):
    _, folder = counted
    shelf = Shelf.of(folder)
    assert {card.name for card in shelf.cards} == COUNTED
    for card in shelf.cards:
        found = verify(card, near=(str(place),))
        assert found.reproduces, found


def call(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"NO_COLOR": "1", "COLUMNS": "300"})


def test_commands_find_the_page_that_lies_here(made, monkeypatch):
    document, folder = made
    monkeypatch.chdir(folder)
    listed = call("cite")
    assert listed.exit_code == 0, listed.output
    ids = re.findall(r"^fs-\w+", listed.stdout, flags=re.MULTILINE)
    assert len(ids) == len(document.cards)
    assert "@misc" in call("cite", ids[0]).stdout
    done = call("verify", ids[0])
    assert done.exit_code == 0, done.output


def changed(place, name, change):
    """The export after a change, in a folder of its own."""
    (place / name).mkdir()
    change(pd.read_csv(place / "deals.csv", dtype=str)).to_csv(place / name / "deals.csv", index=False)
    return str(place / name / "deals.csv")


def test_one_changed_timestamp_is_found_out(made, place):
    document, _ = made
    later = changed(place, "moved", lambda f: f.assign(at=f["at"].where(f.index != 5, "2025-05-05 05:05:05")))
    for card in document.cards:
        if card.name not in ("overall_rate", "forecast_wins", "mean_amount"):
            continue
        found = verify(card, data=later)
        assert not found.reproduces
        assert found.said[0].startswith(f"data: changed, SHA-256 {card.data_sha256[:12]}... on the card"), found


def test_counts_alone_do_not_see_what_moves_no_count(log, place, monkeypatch):
    """Names are replaced with a key of the content; a card of one's own names shows that the counts are what is compared."""
    monkeypatch.setattr(documents, "OF_A_LOG", {"funnel": documents.OF_A_LOG["funnel"]})
    document = write_report(log, counts_only=True, names=True, **SIZE)
    card = next(one for one in document.cards if one.name == "overall_rate")
    last = log.events.execute()["at"].max()
    earlier = str(last - pd.Timedelta(seconds=1))
    found = verify(
        card, data=changed(place, "earlier", lambda f: f.assign(at=f["at"].mask(pd.to_datetime(f["at"]) == last, earlier)))
    )
    assert found.reproduces, found
    assert "files: written anew (their SHA-256 changed), every count made of them is the same" in found.said
    gone = changed(place, "gone", lambda f: f[f["entity"] != f["entity"].iloc[0]])
    assert not verify(card, data=gone).reproduces


def test_quantity_of_the_wrong_kind_of_data_is_refused(log):
    with pytest.raises(DataError, match=r"newcomer_value: expected an order book .*, found EventLog"):
        quantity(log, "newcomer_value", seed=1)
    with pytest.raises(DataError, match=r"overall_rate: expected a log .*, found Transactions"):
        quantity(Transactions.of("bundled:transactions"), "overall_rate", seed=1)


def test_changed_order_book_is_found_out(tmp_path):
    orders(tmp_path / "orders.csv")
    rows = pd.read_csv(tmp_path / "orders.csv")
    asked = {"as_of": "2026-06-30", "draws": 100}
    card = quantity(Transactions.of(tmp_path / "orders.csv", currency="EUR"), "newcomer_value", seed=1, **asked).card
    assert verify(card, near=(str(tmp_path),)).reproduces
    rows.assign(amount=rows["amount"].where(rows.index < 100, 1.5 * rows["amount"])).to_csv(tmp_path / "orders.csv", index=False)
    found = verify(card, data=str(tmp_path / "orders.csv"))
    assert not found.reproduces
    assert any(one.startswith("data: changed") for one in found.said)
    assert any(one.startswith("number: changed") for one in found.said)
