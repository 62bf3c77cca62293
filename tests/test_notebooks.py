"""Is every notebook a tutorial that runs, and does the runner say truly what came of it?"""

import copy
import hashlib
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from funnelstats.bundle import bundled_path
from funnelstats.data.datasets import dataset_path
from funnelstats.data.public import PUBLIC
from funnelstats.errors import DataError
from funnelstats.notebooks import find
from funnelstats.notebooks.find import (
    copy_notebooks,
    declared_parameters,
    find_notebooks,
    given_settings,
    read_notebook,
    tidy,
    title_of,
)
from funnelstats.notebooks.pages import mathml, write_run, write_text
from funnelstats.notebooks.results import data_of, results_of, sentence_of, sha256_of, sources_of
from funnelstats.notebooks.run import run_notebook
from funnelstats.report.say import RESULT_TYPE

# -- the notebooks that are committed ---------------------------------------------------------------------------------

COMMITTED = sorted(bundled_path("notebooks").glob("[0-9]*.ipynb"))
each_notebook = pytest.mark.parametrize("notebook", [read_notebook(path) for path in COMMITTED], ids=[p.stem for p in COMMITTED])
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+")


def markdown(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def digits_in_prose(text):
    """Digits that a rerun on other data would leave standing, wrongly."""
    allowed = [
        r"(?s:```.*?```)", r"`[^`]*`", r"(?s:\$\$.+?\$\$)", r"\$[^$\n]+?\$",  # code, equations
        r"^#+ .*$", r"^\s*\d+\.\s", r"\]\([^)]*\)", r"<[^>]*>",  # headings, marks of lists, targets of links, tags
        r"\([^()]*\b(?:1[89]|20)\d\d\b[^()]*\)", r"\[@[^\]]*\]", r"\b(?:1[89]|20)\d\ds?\b",  # citations, years
        r"^.*[\u4e00-\u9fff].*$",  # the section's Chinese title
    ]  # fmt: skip
    for pattern in allowed:
        text = re.sub(pattern, " ", text, flags=re.MULTILINE)
    return re.findall(r"(?<![A-Za-z\d])\d[\d.,]*\s?%?", text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Conversion rose to 12.5 % last year.", ["12.5 %"]),
        ("About 3 in 4 leads", ["3 ", "4 "]),
        ("# 2.1 The funnel\nText", []),
        ("with $x_1 = 2$ and\n$$\na = 3\n$$", []),
        ("see `run 21` and [the next](22_customers.ipynb)", []),
        ("Wilson's interval (Newcombe 1998, method 10) and the 1990s, in B2B", []),
        ("1. first\n2. second", []),
        ("*2.1 销售漏斗*", []),
        ("```\nx = 3\n```", []),
    ],
)
def test_the_digit_scanner_finds_what_it_should(text, found):
    assert digits_in_prose(text) == found


def test_the_background_and_the_funnel_are_there():
    assert {"10_background", "21_sales_funnel"} <= {path.stem for path in COMMITTED}


@each_notebook
def test_one_title_with_its_chinese_name(notebook):
    prose = re.sub(r"```.*?```", "", "\n".join(markdown(notebook)), flags=re.DOTALL)
    assert len(re.findall(r"^# ", prose, flags=re.MULTILINE)) == 1
    title, below = [line for line in notebook.cells[0].source.split("\n") if line.strip()][:2]
    assert title.startswith("# ")
    assert re.search(r"[\u4e00-\u9fff]", below), f"expected the section's Chinese title under {title!r}, found {below!r}"


@each_notebook
def test_second_cell_holds_the_parameters_as_literals(notebook):
    tagged = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == [1]
    assert declared_parameters(notebook), "the parameters cell declares nothing"


@each_notebook
def test_no_digit_in_prose(notebook):
    assert [(found, text[:60]) for text in markdown(notebook) if (found := digits_in_prose(text))] == []


@each_notebook
def test_executed_in_order_without_an_error(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    said = [output.get("evalue") or output.text for output in outputs(notebook)
            if output.output_type == "error" or output.get("name") == "stderr"]  # fmt: skip
    assert said == []


@each_notebook
def test_committed_text_does_not_change_from_run_to_run(notebook):
    assert tidy(notebook) == notebook
    text = json.dumps(notebook)
    assert not _TIMESTAMP.search(text), "a time of the run"
    assert not re.search(r"\bat 0x[0-9a-f]{6,}", text), "an address in memory"
    assert str(Path.home()) not in text, "a folder of one machine"


@each_notebook
def test_figures_have_a_text_alternative(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for kind in {"image/png", "image/jpeg"} & set(output.get("data", {})):
                alt = output.metadata.get(kind, {}).get("alt") or cell.metadata.get("alt")
                assert alt, f"no alt text for the figure of: {cell.source[:80]!r}"


@each_notebook
def test_headline_is_published_once_with_its_interval(notebook):
    shown = [output.data[RESULT_TYPE] for output in outputs(notebook) if RESULT_TYPE in output.get("data", {})]
    assert [row["name"] for row in shown].count("headline") == 1
    for row in shown:
        assert {"name", "description", "point", "lower", "upper", "interval", "unit", "sentence"} <= set(row)
        assert row["card"]["data_sha256"], (
            f"{row['name']}: say what it rests on, source=..., so that it can be cited and computed again"
        )
        if row["point"] is not None:
            assert row["lower"] <= row["point"] <= row["upper"], row


# -- the runner -------------------------------------------------------------------------------------------------------

SHOW = """
from IPython.display import display
def show(name, point):
    row = dict(name=name, description=name, point=point, lower=point - 1, upper=point + 1, interval="90% equal-tailed",
               unit="deal", sentence=f"{name} is {point}.")
    display({"application/vnd.funnelstats.result+json": row, "text/plain": row["sentence"]}, raw=True)
"""


def write_notebook(path, *cells, parameters="", title="# Title"):
    parts = [new_markdown_cell(title)]
    if parameters:
        parts.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    nbformat.write(new_notebook(cells=[*parts, *map(new_code_cell, cells)]), path)
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two notebooks, run on a file: one publishes two results, the other fails in its fourth cell."""
    root = tmp_path_factory.mktemp("world")
    deals = root / "deals.csv"
    deals.write_text("id,stage\n1,Lead\n2,Lead\n3,Won\n")
    good = write_notebook(
        root / "10_good.ipynb", SHOW, "import sys; rows = open(data).read().count('\\n')", "show('rows', rows)",
        "show('headline', rows * factor); print(sys.executable)",
        parameters='data = "bundled:crm_second"\nfactor = 2', title="# Good\n\nA formula, $x^2$, for $5. See [next](20_bad.ipynb).",
    )  # fmt: skip
    bad = write_notebook(
        root / "20_bad.ipynb", "one = 1",
        "from funnelstats.errors import DataError, Problem\nraise DataError('deals.csv', [Problem('id', 'twice', 'once')])",
        parameters="data = ''", title="# Bad",
    )  # fmt: skip
    given = {"data": str(deals), "as_of": "2026-06-30", "nonsense": 1}
    cells = []
    runs = [
        run_notebook(good, parameters=given, folder=root, on_cell=lambda: cells.append(1)),
        run_notebook(bad, parameters=given),
    ]
    out = root / "build"
    report = write_run(runs, folder=out)
    return {"root": root, "deals": deals, "runs": runs, "out": out, "report": report, "cells": cells}


def test_only_declared_parameters_are_replaced(world):
    assert world["runs"][0].parameters == {"data": str(world["deals"]), "factor": 2}
    assert len(world["cells"]) == 6  # five cells and the injected one


def test_a_date_given_with_other_data_is_not_for_a_notebook_that_reads_its_own(tmp_path):
    path = write_notebook(
        tmp_path / "32_own.ipynb", "as_of", parameters="orders = 'bundled:cdnow'\nas_of = '1997-09-30'\nseed = 1"
    )
    run = run_notebook(path, parameters={"data": "deals.csv", "mapping": None, "as_of": None, "seed": 2})
    assert run.failure is None
    assert run.parameters == {"orders": "bundled:cdnow", "as_of": "1997-09-30", "seed": 2}
    assert data_of(run.parameters) == {
        "source": "bundled:cdnow", "sha256": sha256_of(dataset_path("cdnow")), "as_of": "1997-09-30", "mapping": None
    }  # fmt: skip


def test_settings_are_literals_text_or_files_and_unknown_ones_are_named_together(tmp_path, monkeypatch):
    path = write_notebook(tmp_path / "32_own.ipynb", parameters="orders = 'bundled:cdnow'\nas_of = '1997-09-30'\ndraws = 1")
    (tmp_path / "orders.csv").write_text("customer\n")
    monkeypatch.chdir(tmp_path)
    given = given_settings(["orders=orders.csv", "as_of = 1997-12-31", "draws=500"], [path])
    assert given == {"orders": str(tmp_path / "orders.csv"), "as_of": "1997-12-31", "draws": 500}
    with pytest.raises(DataError, match=r"(?s)found 'draws'.*did you mean 'orders'"):
        given_settings(["draws", "order=x"], [path])


def test_results_come_in_order_with_the_headline_and_its_data(world):
    saved = json.loads((world["out"] / "results.json").read_text())
    assert [(row["notebook"], row["name"], row["point"]) for row in saved["results"]] == [
        ("10_good", "rows", 4),
        ("10_good", "headline", 8),
    ]
    assert saved["headline"]["sentence"] == "headline is 8."
    digest = hashlib.sha256(world["deals"].read_bytes()).hexdigest()
    assert saved["headline"]["data"] == {"source": str(world["deals"]), "sha256": digest, "as_of": None, "mapping": None}
    assert [row["status"] for row in saved["notebooks"]] == ["ok", "failed"]


def test_same_run_gives_the_same_files(world):
    before = {path: path.read_bytes() for path in world["out"].rglob("*") if path.is_file()}
    write_run(world["runs"], folder=world["out"])
    assert {path: path.read_bytes() for path in world["out"].rglob("*") if path.is_file()} == before


def test_failure_names_cell_and_cause_and_leaves_no_file(world):
    failure = world["runs"][1].failure
    assert failure.cell == 4
    assert failure.cause == "DataError: 1 problem in deals.csv\n  id: twice; once"
    assert sorted(path.name for path in world["out"].rglob("*") if path.is_file()) == [
        "10_good.html", "10_good.ipynb", "index.html", "results.json",
    ]  # fmt: skip
    index = (world["out"] / "index.html").read_text()
    assert "twice; once" in index
    assert "20_bad.html" not in index


def test_pages_need_nothing_from_outside(world):
    for name in ("10_good.html", "index.html"):
        page = (world["out"] / name).read_text()
        assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)
        assert "<script" not in page
    page = (world["out"] / "10_good.html").read_text()
    assert "<math" in page
    assert "for $5." in page
    assert 'href="20_bad.html"' in page
    assert hashlib.sha256(world["deals"].read_bytes()).hexdigest()[:16] in page


def test_kernel_is_this_interpreter_whatever_is_registered(world, tmp_path, monkeypatch):
    printed = [output.text for output in outputs(world["runs"][0].notebook) if output.output_type == "stream"]
    assert printed == [f"{sys.executable}\n"]
    spec = tmp_path / "data" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text('{"argv": ["false"], "display_name": "another", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "data"))  # looked at before the environment's own
    done = run_notebook(write_notebook(tmp_path / "1.ipynb", "import sys; print(sys.executable)"))
    assert done.failure is None
    assert outputs(done.notebook)[0].text == f"{sys.executable}\n"


def test_dead_kernel_is_a_failure_not_a_crash(tmp_path):
    done = run_notebook(write_notebook(tmp_path / "1.ipynb", "import os; os._exit(1)"))
    assert "kernel died" in str(done.failure)
    assert done.notebook is None


def test_tidy_drops_what_changes_and_keeps_the_rest(world):
    noisy = copy.deepcopy(world["runs"][0].notebook)
    noisy.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    noisy.cells[1].metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00.000000Z"}
    widget = nbformat.v4.new_output("display_data", data={"application/vnd.jupyter.widget-view+json": {}, "text/plain": "bar"})
    thing = nbformat.v4.new_output("display_data", data={"text/plain": "<Thing object at 0x7f90de4982f0>"})
    noisy.cells[-1].outputs += [widget, thing]
    clean = tidy(noisy)
    assert clean.cells[-1].outputs.pop().data == {"text/plain": "<Thing object>"}
    assert clean == tidy(world["runs"][0].notebook)
    assert not re.search("papermill|iopub|widget", json.dumps({**clean, "cells": [{**c, "source": ""} for c in clean.cells]}))
    assert [cell.source for cell in clean.cells] == [cell.source for cell in noisy.cells]
    assert noisy.metadata["widgets"], "the notebook given was changed"


def test_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_result_without_a_number_is_said_so_and_nan_is_refused(world, tmp_path):
    row = {"name": "a", "description": "the slope", "point": None, "lower": None, "upper": None, "interval": "", "unit": ""}
    assert sentence_of(row) == "the slope: no number"
    assert sentence_of(row | {"sentence": "not identified: M is constant"}) == "not identified: M is constant"
    assert sentence_of(row | {"point": 0.5, "lower": 0.25, "upper": 0.75, "interval": "90% equal-tailed", "unit": "deal"}) == (
        "the slope: 0.5 deal (90% equal-tailed: 0.25 to 0.75)"
    )
    run = copy.copy(world["runs"][0])
    object.__setattr__(run, "results", (row | {"sentence": "no", "point": float("nan")},))
    with pytest.raises(ValueError, match="Out of range float"):
        write_run([run], folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_bundled_data_are_named_with_their_card(world):
    row = results_of([copy.copy(world["runs"][0])])["notebooks"][0]
    run = copy.copy(world["runs"][0])
    object.__setattr__(run, "parameters", {"data": "bundled:crm_second"})
    row = results_of([run])["notebooks"][0]["data"]
    digest = hashlib.sha256((bundled_path("data") / "crm_second.csv").read_bytes()).hexdigest()
    assert row == {"source": "bundled:crm_second", "sha256": digest, "as_of": "2026-03-31", "mapping": "crm_second.mapping.toml"}


def test_every_source_of_a_notebook_has_its_digest_a_public_one_that_of_its_content_too(tmp_path, monkeypatch):
    copy_of_bank, clients = tmp_path / "bank-full.csv", tmp_path / "clients.csv"
    copy_of_bank.write_text("age;y\n1;no\n")
    clients.write_text("age,bought\n1,0\n")
    monkeypatch.setenv("FUNNELSTATS_PUBLIC", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    given = {"visits": "public:bank", "again": ["bundled:cdnow", "public:no such"], "own": str(clients), "late": "public:shoppers",
             "mapping": str(clients), "unit": "day", "draws": 500}  # fmt: skip
    rows = sources_of(given)
    digest = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (copy_of_bank, clients)}
    assert [(row["parameter"], row["sha256"]) for row in rows] == [
        ("visits", digest[copy_of_bank]), ("again", sha256_of(dataset_path("cdnow"))), ("again", None),
        ("own", digest[clients]), ("late", None),
    ]  # fmt: skip
    assert rows[0]["content_sha256"] == PUBLIC["bank"].digest
    assert data_of(given) == {key: value for key, value in rows[0].items() if key != "parameter"} | {"mapping": str(clients)}
    copy_of_bank.write_text("age;y\n2;no\n")
    assert sources_of(given)[0]["sha256"] == hashlib.sha256(copy_of_bank.read_bytes()).hexdigest() != digest[copy_of_bank]


def test_digest_of_a_folder_names_its_files(tmp_path):
    assert sha256_of(tmp_path) is None
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).write_text(name)
    a, b = (hashlib.sha256(name.encode()).hexdigest() for name in ("a.csv", "b.csv"))
    assert sha256_of(tmp_path) == hashlib.sha256(f"{a}  a.csv\n{b}  b.csv\n".encode()).hexdigest()
    assert sha256_of(tmp_path / "*.csv") == sha256_of(tmp_path)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("$5 or $6", "$5 or $6"),
        ("$5, $6 and `$x$`", "$5, $6 and `$x$`"),
        ("`$x$`", "`$x$`"),
        ("```\n$x$\n```", "```\n$x$\n```"),
        (r"\$x\$", r"\$x\$"),
    ],
)
def test_dollars_that_are_no_formula_stay(source, expected):
    assert mathml(source) == expected


def test_formulas_become_mathml():
    line, block = mathml("with $k/n$."), mathml("$$\n\\begin{aligned} x &= 1 \\\\ y &= 2 \\end{aligned}\n$$")
    assert line.startswith('with <math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">')
    assert line.endswith("</math>.")
    assert 'display="block"' in block
    assert block.count("<mtr>") == 2
    assert "&</mi>" not in block


def test_patterns_choose_notebooks(tmp_path):
    names = ["10_background", "21_sales_funnel", "22_customers", "31_funnel"]
    for name in names:
        write_notebook(tmp_path / f"{name}.ipynb", title=f"# {name}")
    (tmp_path / "scratch.ipynb").write_text("{}")

    def chosen(*patterns):
        return [path.stem for path in find_notebooks(patterns, folder=tmp_path)]

    assert chosen() == names
    assert chosen("2") == ["21_sales_funnel", "22_customers"]
    assert chosen("31", "10_background.ipynb") == ["10_background", "31_funnel"]
    assert chosen("*funnel") == ["21_sales_funnel", "31_funnel"]
    with pytest.raises(DataError, match=r"found '21_sale_funel'; did you mean '21_sales_funnel'\?"):
        chosen("21_sale_funel")
    with pytest.raises(DataError, match="found '9'"):
        chosen("9", "10")


def test_parameters_are_literals(tmp_path):
    path = write_notebook(tmp_path / "1.ipynb", parameters="data: str = 'x'\nrates = [0.1, -2]\n# a remark\nas_of = None")
    assert declared_parameters(read_notebook(path)) == {"data": "x", "rates": [0.1, -2], "as_of": None}
    assert title_of(read_notebook(path)) == "Title"
    path = write_notebook(tmp_path / "2.ipynb", parameters="import os\nhere = os.getcwd()\nseed = 1")
    with pytest.raises(DataError, match=r"(?s)line 1: .*import os.*line 2: .*os.getcwd"):
        declared_parameters(read_notebook(path))


def test_copy_keeps_what_is_there(tmp_path, monkeypatch):
    source = tmp_path / "bundle"
    source.mkdir()
    for name in ("10_a", "20_b"):
        write_notebook(source / f"{name}.ipynb")
    monkeypatch.setattr(find, "bundled_path", lambda kind: source)
    target = tmp_path / "new" / "mine"
    assert [path.name for path in copy_notebooks(target)[0]] == ["10_a.ipynb", "20_b.ipynb"]
    (target / "10_a.ipynb").write_text("mine")
    (target / "20_b.ipynb").unlink()
    copied, kept = copy_notebooks(target)
    assert ([path.name for path in copied], [path.name for path in kept]) == (["20_b.ipynb"], ["10_a.ipynb"])
    assert (target / "10_a.ipynb").read_text() == "mine"
