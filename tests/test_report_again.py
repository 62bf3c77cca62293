"""Does a number of a notebook come out again by its card alone, and is it said truly where it does not?"""

import json
from dataclasses import replace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from typer.testing import CliRunner

from funnelstats import cli_cite
from funnelstats.cli import app
from funnelstats.notebooks import find
from funnelstats.notebooks.again import card_again
from funnelstats.notebooks.results import results_of
from funnelstats.notebooks.run import Run, run_notebook
from funnelstats.report.changes import because
from funnelstats.report.citation import identify
from funnelstats.report.shelf import Shelf, cards_of
from funnelstats.report.verify import verify

PARAMETERS = 'orders = "orders.csv"\nmapping = None\nfactor = 2.0\nkey = "secret of the house"\nseed = 3'
CODE = """import funnelstats as fs
book = fs.Transactions.of(orders)
mean = float(book.table.amount.mean().execute())
worth = fs.Estimate.of([factor * mean, factor * (mean + 1), factor * (mean + 3)], unit="EUR", description="worth of a purchase")
fs.publish("headline", worth, source=book, sentence=f"{worth}")
fs.publish("aside", worth, sentence=f"{worth}")"""
ORDERS = "customer,date,amount\nA,2026-01-01,10\nB,2026-01-02,14\nA,2026-02-01,30\n"


def call(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"NO_COLOR": "1", "COLUMNS": "300"})


def write_notebook(folder, code=CODE):
    cells = [new_markdown_cell("# Worth"), new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell(code)]
    folder.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells), folder / "10_worth.ipynb")


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A folder with an order book and what a run of a notebook on it left, and that run."""
    root = tmp_path_factory.mktemp("house")
    write_notebook(root / "notebooks")
    (root / "orders.csv").write_text(ORDERS)
    run = run_notebook(root / "notebooks" / "10_worth.ipynb", parameters={"orders": str(root / "orders.csv"), "factor": 2.5})
    assert run.failure is None, run.failure
    (root / "build").mkdir()
    (root / "build" / "results.json").write_text(json.dumps(results_of([run])))
    return root, run


@pytest.fixture
def house(left, monkeypatch):
    """The same, with that notebook for the bundled ones; the card of the headline, and the place to look in."""
    root, _ = left
    monkeypatch.setattr(find, "bundled_path", lambda what: root / what)
    for console in (cli_cite.out, cli_cite.err):
        monkeypatch.setattr(console, "width", 300)
    yield root, Shelf.of(root / "build").find("headline")
    (root / "orders.csv").write_text(ORDERS)
    write_notebook(root / "notebooks")


def carded(run, **parameters):
    """The card of the headline, had the run had other parameters."""
    other = Run(
        name=run.name, title=run.title, parameters=run.parameters | parameters, notebook=run.notebook, results=run.results
    )
    return cards_of(results_of([other]))[0]


def test_card_names_notebook_parameters_and_files_but_no_folder_and_no_key(left, house):
    root, card = house
    recipe = card.recipe
    assert (recipe["notebook"], recipe["result"]) == ("10_worth", "headline")
    assert recipe["parameters"] == {"factor": 2.5, "seed": 3}
    assert recipe["reads"] == {"orders": "orders.csv", "mapping": None}
    assert list(recipe["files"]) == ["orders.csv"]
    text = (root / "build" / "results.json").read_text()
    assert "secret of the house" not in text
    assert str(root) not in json.dumps(card.to_dict())
    assert "by the notebook 10_worth with orders = 'orders.csv', mapping = None, factor = 2.5, seed = 3" in card.text()


def test_what_was_published_without_a_source_has_no_card(left):
    _, run = left
    assert [("card" in row) for row in results_of([run])["results"]] == [True, False]


def test_parameters_are_in_the_id_and_the_name_of_a_file_is_not(left):
    root, run = left
    card = carded(run)
    assert card.id == identify(card)
    assert carded(run, factor=3.0).id != card.id
    assert because(card, carded(run, factor=3.0)) == "definitions (parameter: factor)"
    (root / "other.csv").write_text(ORDERS)
    assert carded(run, orders=str(root / "other.csv")).id == card.id
    assert carded(run, mapping=str(root / "other.csv")).id == carded(run, mapping={"stages": ["Lead", "Won"]}).id == card.id


def test_number_comes_out_again_from_the_command_line_and_not_from_a_report_alone(house, monkeypatch, tmp_path):
    root, card = house
    monkeypatch.chdir(tmp_path)  # the file is found beside the folder of results
    done = call("verify", card.id, "--in", root / "build")
    assert done.exit_code == 0, done.output
    assert f"number: the same, {card.said}" in done.stdout
    found = verify(card)
    assert not found.reproduces
    assert found.said == (
        f"a number of the notebook 10_worth: `funnelstats verify {card.id}` runs it again with the parameters of the card",
    )


def test_changed_data_and_changed_cells_are_told_apart_from_a_changed_number(house):
    root, card = house
    (root / "changed.csv").write_text(ORDERS.replace("30", "33"))
    write_notebook(root / "notebooks", CODE.replace("mean + 3", "mean + 4"))
    done = call("verify", card.id, "--in", root / "build", "--data", root / "changed.csv")
    assert done.exit_code == 1
    for said in (
        f"data: changed, SHA-256 {card.data_sha256[:12]}...",
        "notebook: its code has changed",
        f"number: changed, {card.said}",
    ):
        assert said in done.stdout


def test_a_card_that_was_tampered_with_does_not_reproduce(house):
    root, card = house
    document = card.to_dict()
    document["values"][0]["upper"] *= 1.001
    (root / "build" / "cards.json").write_text(json.dumps(document | {"id": "fs-000000000000"}))
    done = call("verify", "fs-000000000000", "--in", root / "build")
    (root / "build" / "cards.json").unlink()
    assert done.exit_code == 1
    assert "data: the same" in done.stdout
    assert "number: changed" in done.stdout
    assert "specification: the id changed" in done.stdout


def test_what_is_gone_is_said(house):
    _, card = house
    elsewhere = replace(card, recipe=card.recipe | {"reads": {"orders": "lost.csv"}})
    said = verify(elsewhere, rerun=card_again).said
    assert "the notebook stopped: cell 3" in said[0]
    assert "lost.csv" in said[0]
    renamed = replace(card, recipe=card.recipe | {"notebook": "99_gone"})
    assert "99_gone: no notebook of this version is called so" in verify(renamed, rerun=card_again).said[0]
