"""What does a reader keep of a run: one page per notebook, an index, the executed notebooks and one file of results.

Pages need nothing from outside: figures and styles lie inside them, and formulas are MathML. Each file is written beside its
place and then moved there, so a run that stops leaves no half of a file.
"""

import copy
import json
import re
from collections.abc import Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from funnelstats.notebooks.find import tidy
from funnelstats.notebooks.results import results_of, sentence_of
from funnelstats.notebooks.run import Run
from funnelstats.report.whole import write_text

# Code and code blocks first, so that a dollar sign in code is left alone; then display formulas, then formulas in a line.
_MATH = re.compile(
    r"(?P<code>```.*?```|`[^`\n]*`)|\$\$(?P<block>.+?)\$\$|(?<![\\$\w])\$(?!\s)(?P<line>[^$`\n]+?)(?<![\s\\])\$(?!\d)", re.DOTALL
)


def write_run(runs: Sequence[Run], *, folder: Path) -> dict[str, Any]:
    """Write pages, notebooks, index and results of a run.

    Parameters
    ----------
    runs : sequence of Run
        In reading order; a failed one gets a line in the index and no page.
    folder : Path
        Made when it is not there.

    Returns
    -------
    dict
        What ``results.json`` holds.
    """
    report = results_of(runs)
    numbers = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    for run, about in zip(runs, report["notebooks"], strict=True):
        if run.notebook is not None:
            write_text(folder / "notebooks" / f"{run.name}.ipynb", notebook_text(run.notebook))
            write_text(folder / f"{run.name}.html", notebook_page(run, about["data"]))
    write_text(folder / "index.html", index_page(report))
    write_text(folder / "results.json", numbers)
    return report


def notebook_text(notebook: Any) -> str:
    """Text of a notebook file, without what changes from run to run."""
    import nbformat

    return f"{nbformat.writes(tidy(notebook))}\n"


def notebook_page(run: Run, data: dict[str, Any] | None) -> str:
    """One executed notebook as a page of its own."""
    from nbconvert import HTMLExporter

    look = {"template_name": "basic", "exclude_input_prompt": True, "exclude_output_prompt": True, "exclude_anchor_links": True}
    exporter = HTMLExporter(**look)
    body, resources = exporter.from_notebook_node(_with_mathml(tidy(run.notebook)))
    body = re.sub(r'href="(\d\d_\w+)\.ipynb', r'href="\1.html', body)  # the other notebooks are pages, too
    foot = (
        f'funnelstats {version("funnelstats")}. {_origin(data)} <a href="notebooks/{run.name}.ipynb">This page as a notebook</a>'
    )
    bar = '<a href="index.html">All pages</a><label><input type="checkbox" id="code" checked> Show code</label>'
    return _page(run.title, bar=bar, body=body, foot=foot, css="".join(resources["inlining"]["css"][:1]))


def _origin(data: dict[str, Any] | None) -> str:
    if data is None:
        return ""
    until = f", observed until {data['as_of']}" if data["as_of"] else ""
    return f"Data: {escape(data['source'])}{until}, SHA-256 <code>{(data['sha256'] or 'none: not a file')[:16]}</code>."


def index_page(report: dict[str, Any]) -> str:
    """The page that leads to the others, the headline on top."""
    headline = report["headline"]
    said = f'<p class="headline">{escape(sentence_of(headline))}</p><p>{_origin(headline["data"])}</p>' if headline else ""
    rows = []
    for row in report["notebooks"]:
        found = [result for result in report["results"] if result["notebook"] == row["name"]]
        text = "".join(f"<li>{escape(sentence_of(result))}{_cited(result)}</li>" for result in found)
        name = escape(row["title"] or row["name"])
        if row["failure"]:
            rows.append(f'<h2>{name}</h2><p class="failed">Not run to its end: {escape(row["failure"])}</p>')
        else:
            rows.append(f'<h2><a href="{row["name"]}.html">{name}</a></h2><ul>{text}</ul>')
    foot = f'funnelstats {report["version"]}. All numbers of this run: <a href="results.json">results.json</a>'
    return _page("funnelstats: this run", bar="", body=f"<h1>This run</h1>{said}{''.join(rows)}", foot=foot, css="")


def _cited(result: dict[str, Any]) -> str:
    """The id by which a result can be cited and verified."""
    return f" <code>{escape(result['card']['id'])}</code>" if "card" in result else ""


def mathml(text: str) -> str:
    """Markdown with its formulas as MathML.

    Examples
    --------
    >>> mathml("costs $5 or $6, `$x$`; $x^2$")[:40]
    'costs $5 or $6, `$x$`; <math xmlns="http'
    """
    from latex2mathml.converter import convert

    def replace(found: re.Match[str]) -> str:
        if found["code"]:
            return found["code"]
        formula = (found["block"] or found["line"]).replace("{aligned}", "{split}")  # the converter knows the latter alone
        return convert(formula, display="block" if found["block"] else "inline")

    return _MATH.sub(replace, text)


def _with_mathml(notebook: Any) -> Any:
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = mathml(cell.source)
        for output in cell.get("outputs", []):
            if "text/markdown" in output.get("data", {}):
                output.data["text/markdown"] = mathml(output.data["text/markdown"])
    return notebook


def _page(title: str, *, bar: str, body: str, foot: str, css: str) -> str:
    style = css + Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<nav>{bar}</nav>
<main>{body}</main>
<footer>{foot}</footer>
</body>
</html>
"""
