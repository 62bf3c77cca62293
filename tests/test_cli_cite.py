"""Does the command line print a card in every form, and say truly whether a number comes out again?"""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

import funnelstats as fs
from funnelstats import cli_cite
from funnelstats.cli import app
from funnelstats.report.shelf import cards_json

SPEC = {"stages": ["Lead", "Won"], "entity": "id", "stage": "step", "at": "on"}


def call(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"NO_COLOR": "1"})


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    for console in (cli_cite.out, cli_cite.err):
        monkeypatch.setattr(console, "width", 200)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """An export, and the folder a run left: its card in results.json."""
    monkeypatch.chdir(tmp_path)
    rows = [(n, "Lead", f"2026-01-{1 + n % 28:02} 10:00:00") for n in range(60)]
    rows += [(n, "Won", f"2026-02-{1 + n % 28:02} 10:00:00") for n in range(0, 60, 4)]
    pd.DataFrame(rows, columns=["id", "step", "on"]).to_csv("deals.csv", index=False)
    log = fs.read_crm(tmp_path / "deals.csv", mapping=SPEC, as_of="2026-06-30")
    card = fs.quantity(log, "overall_rate", seed=1).card
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "results.json").write_text(json.dumps({"results": [{"name": "headline", "card": card.to_dict()}]}))
    return card


def test_cite_prints_text_bibtex_and_csl(made):
    done = call("cite", made.id)
    assert done.exit_code == 0, done.output
    text, bibtex, csl = done.stdout.rstrip("\n").split("\n\n")
    assert (text, bibtex) == (made.text(), made.bibtex())
    assert json.loads(csl) == [made.csl()]
    assert call("cite", made.id, "--as", "bibtex", "--author", "Ann").stdout.rstrip() == made.bibtex(author="Ann")
    assert made.id in call("cite").stdout


def test_cite_refuses_a_failed_number_and_an_unknown_one(made, tmp_path):
    failed = fs.card(fs.Estimate.of([1.0, 2.0], description="x"), name="x", verdict="FAIL", diagnosis="FAIL (NUTS): R-hat 2")
    (tmp_path / "build" / "cards.json").write_text(cards_json([failed]))
    done = call("cite", failed.id)
    assert done.exit_code == 1
    assert "may not be cited: FAIL (NUTS): R-hat 2" in done.stderr
    assert "@misc" not in done.stdout
    done = call("cite", "fs-nothing")
    assert done.exit_code == 1
    assert made.id in done.stderr
    assert call("cite", made.id, "--in", tmp_path / "none").exit_code == 1


def test_verify_passes_on_the_same_data_and_on_a_rewritten_file(made, tmp_path):
    done = call("verify", made.id)
    assert done.exit_code == 0, done.output
    assert "reproduces" in done.stdout
    frame = pd.read_csv("deals.csv").iloc[::-1]
    frame.to_csv("deals.csv", index=False)
    done = call("verify", made.id)
    assert done.exit_code == 0, done.output
    assert "files: written anew" in done.stdout


def test_verify_fails_on_changed_data_and_names_both_hashes(made):
    text = (frame := pd.read_csv("deals.csv"))["on"]
    frame["on"] = text.where(frame.index != 5, text[5].replace("10:00:00", "10:00:01"))
    frame.to_csv("other.csv", index=False)
    done = call("verify", made.id, "--data", "other.csv")
    assert done.exit_code == 1
    again = fs.quantity(fs.read_crm("other.csv", mapping=SPEC, as_of="2026-06-30"), "overall_rate", seed=1).card
    assert f"data: changed, SHA-256 {made.data_sha256[:12]}... on the card, {again.data_sha256[:12]}... now" in done.stdout
    assert f"number: the same, {made.said}" in done.stdout  # one second moves no count, and is seen all the same


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "0.0.1"}, "version: the card is of funnelstats 0.0.1, this is"),
        (
            {"values": [{"said": "9.9%", "point": 0.099, "sd": 0.01, "lower": 0.08, "upper": 0.12}]},
            "number: changed, 9.9% on the card",
        ),
        ({"definition": "order strict"}, "specification: definition changed"),
        ({"recipe": {}}, "the card has no recipe"),
    ],
)
def test_verify_says_what_else_changed(made, tmp_path, change, said):
    document = made.to_dict() | change
    if "definition" in change:
        document["id"] = "fs-000000000000"
    (tmp_path / "build" / "results.json").write_text(json.dumps(document))
    done = call("verify", document["id"])
    assert done.exit_code == (0 if "version" in change else 1), done.output
    assert said in done.stdout


def test_verify_without_the_file_says_so(made, tmp_path):
    (tmp_path / "deals.csv").unlink()
    done = call("verify", made.id)
    assert done.exit_code == 1
    assert "could not be computed again" in done.stdout
