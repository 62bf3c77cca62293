"""Is a report whole or not at all, does it say what failed, and does the command line write the same?"""

import json
from dataclasses import replace

import pandas as pd
import pytest
from typer.testing import CliRunner

from funnelstats.cli import app
from funnelstats.data.counts import CountsLog
from funnelstats.data.crm import read_crm
from funnelstats.data.simulate import simulate_crm
from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError
from funnelstats.inference.diagnose import Check, Diagnosis
from funnelstats.models.exits import CompetingExits
from funnelstats.report import document as documents
from funnelstats.report import writing
from funnelstats.report.material import Material, said
from funnelstats.report.page import to_html
from funnelstats.report.plain_text import to_json, to_markdown
from funnelstats.report.section import Column, Grid
from funnelstats.report.sections_funnel import funnel
from funnelstats.report.writing import write_report

pytestmark = [
    pytest.mark.filterwarnings("ignore::funnelstats.errors.ImmatureWarning"),  # the sentences say "so far"
    pytest.mark.usefixtures("unsampled"),
]
SIZE = {"draws": 100, "chains": 4, "seed": 3}


@pytest.fixture(scope="module")
def world():
    return simulate_crm(
        seed=4, n_leads=400, owners=("Ada Birch", "Bruno Cedar", "Clara Dale"), as_of="2026-06-30", dirty={"skipped_stage": 0.03}
    )


@pytest.fixture(scope="module")
def log(world):
    events = world.events.assign(owner="Owner-of-" + world.events["owner"])
    return read_crm(events, mapping=world.mapping, as_of=world.as_of)


def only(monkeypatch, *keys):
    """Make no other sections, to be quick."""
    monkeypatch.setattr(documents, "OF_A_LOG", {key: documents.OF_A_LOG[key] for key in keys})


def test_names_are_shown_when_asked(log, world, monkeypatch):
    only(monkeypatch, "league", "audit")
    document = write_report(log, names=True, **SIZE)
    text = to_markdown(document)
    assert all(f"Owner-of-{name}" in text for name in set(world.events["owner"]))
    assert document.section("audit").tables[0].columns["first"].head == "First of them"


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
    grid = Grid.of("Stages", frame, columns, smallest=10)
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


def test_report_on_fits_alone(log):
    fit = CompetingExits().fit(log.hazards(), seed=1, draws=100)
    document = write_report(fit)
    assert [one.key for one in document.sections] == ["fits", "methods", "diagnostics"]
    assert "CompetingExits" in document.section("methods").sentences[0].text
    assert document.data_sha256 == fit.record.data_digest


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
    assert [one.key for one in document.sections] == [
        *documents.OF_A_LOG,
        "methods",
        "diagnostics",
    ]  # the key of a section does not depend on whether it could be made
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
