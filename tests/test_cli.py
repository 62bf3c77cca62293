"""Does the command line do what it says, and say what it did?"""

import json
from importlib.metadata import version

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from typer.testing import CliRunner

from funnelstats import cli
from funnelstats.cli import app
from funnelstats.data.crm import read_crm
from funnelstats.notebooks import find
from funnelstats.notebooks.find import read_notebook

PARAMETERS = 'data = "bundled:crm_second"\nmapping = "default.toml"\nas_of = "2026-03-31"'
HEADLINE = """
row = dict(name="headline", description="share won", point=0.25, lower=0.2, upper=0.3, interval="90% equal-tailed", unit="",
           sentence=f"read {data}, {mapping}, {as_of}")
from IPython.display import display
display({"application/vnd.funnelstats.result+json": row, "text/plain": row["sentence"]}, raw=True)
"""


def call(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"NO_COLOR": "1"})


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal on which no table wraps; the consoles measure theirs once."""
    monkeypatch.setattr(cli.out, "width", 200)
    monkeypatch.setattr(cli.err, "width", 200)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of notebooks in place of the bundled one: one that reads data, one that does not, one that fails."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    cells = {
        "10_reads": [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell(HEADLINE)],
        "20_counts": [new_code_cell("seed = 1", metadata={"tags": ["parameters"]}), new_code_cell("seed + 1")],
        "30_fails": [new_code_cell("1 / 0")],
    }
    for name, code in cells.items():
        nbformat.write(new_notebook(cells=[new_markdown_cell(f"# {name}"), *code]), folder / f"{name}.ipynb")
    monkeypatch.setattr(find, "bundled_path", lambda kind: folder)
    monkeypatch.setattr(cli, "bundled_path", lambda kind: folder)
    return folder


def test_version_is_the_installed_one():
    assert call("--version").output == f"funnelstats {version('funnelstats')}\n"


def test_run_writes_pages_and_says_where_and_the_headline(shelf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deals.csv").write_text("id\n1\n")
    done = call("run", "10", "20", "--data", "deals.csv", "--output", "out")
    assert done.exit_code == 0, done.output
    # other data: the notebook's own mapping and date no longer hold, and the path is whole
    said = f"read {tmp_path / 'deals.csv'}, None, None"
    assert done.stdout.rstrip().endswith(said)
    for name in ("index.html", "notebooks", "results.json"):
        assert f"out/{name}" in done.stdout
    assert "takes no data: ran with its own" in done.stdout
    assert json.loads((tmp_path / "out" / "results.json").read_text())["headline"]["sentence"] == said
    assert (tmp_path / "out" / "20_counts.html").exists()


def test_run_goes_on_after_a_failure_and_exits_with_one(shelf, tmp_path):
    mapping = tmp_path / "mine.toml"
    mapping.write_text("")
    done = call("run", "--mapping", mapping, "--as-of", "2026-06-30", "--output", tmp_path / "out")
    assert done.exit_code == 1
    assert "1 of 3 notebooks failed\n30_fails (cell 2)\n  ZeroDivisionError: division by zero" in done.stderr
    assert "Traceback" not in done.output
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [row["status"] for row in report["notebooks"]] == ["ok", "ok", "failed"]
    assert report["headline"]["sentence"] == f"read bundled:crm_second, {mapping}, 2026-06-30"


def test_unknown_pattern_is_refused_before_anything_runs(shelf, tmp_path):
    done = call("run", "7", "--output", tmp_path / "out")
    assert done.exit_code == 1
    assert "found '7'; there are 10_reads, 20_counts, 30_fails" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("data", "said"), [("none.csv", "no such file"), ("bundled:crm_secnd", "did you mean 'crm_second'?")])
def test_missing_data_are_refused_before_anything_runs(shelf, tmp_path, data, said):
    done = call("run", "--data", data, "--output", tmp_path / "out")
    assert done.exit_code == 1
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_check_prints_what_was_read_and_the_audit():
    done = call("check", "bundled:crm_salesforce")
    log = read_crm("bundled:crm_salesforce")
    audit = log.audit()
    assert done.exit_code == 0, done.output
    assert f"{audit.entities:,} entities, {log.events.count().execute():,} events" in done.stdout
    lines = [line.split() for line in done.stdout.split("\n")]
    for row in log.stages().frame.itertuples():
        assert [*row.stage.split(), *(f"{n:,}" for n in (row.entered, row.advanced, row.lost, row.open))] in lines
    for row in audit.found.itertuples():
        assert any(f"{row.check} " in line and f" {row.entities:,} " in line and f"{row.effect:+.2%}" in line
                   for line in done.stdout.split("\n")), row.check  # fmt: skip
    assert all(f"not checked: {text}" in done.stdout for text in audit.not_checked)


def test_check_of_counts_says_that_there_is_no_audit():
    done = call("check", "bundled:crm_counts")
    assert done.exit_code == 0, done.output
    assert "an audit needs one row per stage entry or per deal" in done.stdout


def test_check_lists_every_problem_without_a_traceback(tmp_path):
    export, mapping = tmp_path / "deals.csv", tmp_path / "mine.toml"
    export.write_text("id,step,on\n1,Lead,2026-01-05\n1,Sold,2026-01-09\n2,Lead,sometime\n")
    mapping.write_text('stages = ["Lead", "Won"]\nentity = "id"\nstage = "step"\nat = "on"\n')
    done = call("check", export, "--mapping", mapping, "--as-of", "2026-01-31")
    assert done.exit_code == 1
    assert "2 problems in" in done.stderr
    assert "Sold" in done.stderr
    assert "sometime" in done.stderr
    assert "Traceback" not in done.output
    assert call("check", tmp_path / "none.csv", "--mapping", mapping, "--as-of", "2026-01-31").exit_code == 1


def test_notebooks_are_listed_and_copied(shelf, tmp_path):
    assert [line.split() for line in call("notebooks", "list").stdout.splitlines()] == [
        ["10_reads", "10_reads"], ["20_counts", "20_counts"], ["30_fails", "30_fails"],
    ]  # fmt: skip
    done = call("notebooks", "copy", tmp_path / "mine")
    assert "3 notebooks copied" in done.stdout
    assert (tmp_path / "mine" / "10_reads.ipynb").read_bytes() == (shelf / "10_reads.ipynb").read_bytes()
    (tmp_path / "mine" / "10_reads.ipynb").write_text("changed")
    assert "left as it was" in call("notebooks", "copy", tmp_path / "mine").stdout
    assert (tmp_path / "mine" / "10_reads.ipynb").read_text() == "changed"


def test_refresh_runs_in_place_and_leaves_what_failed(shelf):
    stale = read_notebook(shelf / "20_counts.ipynb")
    stale.cells[2].outputs = [new_output("stream", text="stale")]
    nbformat.write(stale, shelf / "20_counts.ipynb")
    before = (shelf / "30_fails.ipynb").read_bytes()
    done = call("notebooks", "refresh", "20", "30")
    assert done.exit_code == 1
    assert "30_fails: cell 2 (1 / 0): ZeroDivisionError" in done.stderr
    assert (shelf / "30_fails.ipynb").read_bytes() == before
    assert sorted(path.name for path in shelf.iterdir()) == ["10_reads.ipynb", "20_counts.ipynb", "30_fails.ipynb"]
    fresh = read_notebook(shelf / "20_counts.ipynb")
    assert [cell.cell_type for cell in fresh.cells] == ["markdown", "code", "code"]
    assert fresh.cells[2].outputs[0].data["text/plain"] == "2"
    assert "papermill" not in fresh.metadata


def test_refresh_is_refused_on_an_installed_package(monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "bundled_path", lambda kind: tmp_path / "_bundled" / kind)
    assert call("notebooks", "refresh").exit_code == 1
