"""What can be done from the command line: run the notebooks on an export, check an export, copy the notebooks; cite, verify.

Errors made on purpose are printed as they are written; a traceback is shown for a defect of this package alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from glob import glob
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from funnelstats import cli_cite, cli_report
from funnelstats.bundle import bundled_path
from funnelstats.data.counts import CountsLog
from funnelstats.data.crm import read_crm
from funnelstats.data.datasets import dataset_card
from funnelstats.errors import DataError, FunnelStatsError, Problem
from funnelstats.notebooks.find import copy_notebooks, find_notebooks, given_settings, read_notebook, title_of
from funnelstats.notebooks.pages import notebook_text, write_run
from funnelstats.notebooks.results import sentence_of
from funnelstats.notebooks.run import Run, run_notebook
from funnelstats.report.whole import write_text

app = typer.Typer(help="From a CRM export to a funnel with honest intervals.", no_args_is_help=True, add_completion=False,
                  pretty_exceptions_show_locals=False)  # fmt: skip
notebooks_app = typer.Typer(help="The notebooks that come with the package.", no_args_is_help=True)
app.add_typer(notebooks_app, name="notebooks")
cli_cite.register(app)
cli_report.register(app)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Patterns = Annotated[list[str] | None, typer.Argument(metavar="PATTERN", help="Beginnings of names (21, 3); all when left out.")]
MappingOption = Annotated[
    str | None, typer.Option(metavar="FILE|PRESET", help="What the columns mean: a TOML file, salesforce or hubspot.")
]
AsOfOption = Annotated[str | None, typer.Option(metavar="DATE", help="Until when the export was complete, such as 2026-06-30.")]


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except FunnelStatsError as error:
        err.print(f"[bold red]error[/] {escape(str(error))}")
        raise typer.Exit(1) from None


@app.callback(invoke_without_command=True)
def main(show_version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False) -> None:
    """From a CRM export to a funnel with honest intervals."""
    if show_version:
        out.print(f"funnelstats {version('funnelstats')}")
        raise typer.Exit


@app.command()
def run(
    patterns: Patterns = None,
    data: Annotated[
        str | None, typer.Option(metavar="PATH|bundled:NAME", help="Your export; the notebooks' own data when left out.")
    ] = None,
    mapping: MappingOption = None,
    as_of: AsOfOption = None,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where pages, notebooks and results.json go.")] = Path("build"),
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Another parameter, such as orders=orders.csv.")
    ] = None,
) -> None:
    """Run the numbered notebooks and write pages, executed notebooks and results.json."""
    with _readable_errors():
        paths = find_notebooks(patterns or ())
        given = _parameters(data, mapping, as_of) | given_settings(settings or (), paths)
        output.mkdir(parents=True, exist_ok=True)
        runs = _run_all(paths, given, output)
        report = write_run(runs, folder=output)
    out.print(f"Pages      {output / 'index.html'}\nNotebooks  {output / 'notebooks'}\nResults    {output / 'results.json'}")
    if report["headline"]:
        out.print(f"\n[bold]{escape(sentence_of(report['headline']))}[/]")
    failed = [one for one in runs if one.failure]
    if failed:
        err.print(f"\n[bold red]{len(failed)} of {len(runs)} notebooks failed[/]")
        for cause in dict.fromkeys(str(one.failure.cause) for one in failed if one.failure):
            where = [f"{one.name} (cell {one.failure.cell})" for one in failed if one.failure and one.failure.cause == cause]
            err.print(f"{', '.join(where)}\n  {escape(cause)}")
        raise typer.Exit(1)


def _parameters(data: str | None, mapping: str | None, as_of: str | None) -> dict[str, Any]:
    """Values for the parameters cells: with other data, a notebook's own mapping and date no longer hold."""
    given: dict[str, Any] = {name: value for name, value in (("mapping", mapping), ("as_of", as_of)) if value is not None}
    if mapping is not None and Path(mapping).exists():
        given["mapping"] = str(Path(mapping).resolve())
    if data is not None:
        given = {"mapping": None, "as_of": None} | given | {"data": _located(data)}
    return given


def _located(data: str) -> str:
    """Check that the data are there before anything runs, and make a path independent of the working folder."""
    if data.startswith("bundled:"):
        dataset_card(data.removeprefix("bundled:"))
        return data
    path = str(Path(data).expanduser().absolute())
    if not Path(path).exists() and not glob(path, recursive=True):
        raise DataError(
            data, [Problem("--data", "no such file", "give a file, a folder, a glob in quotation marks, or bundled:NAME")]
        )
    return path


def _run_all(paths: list[Path], given: dict[str, Any], folder: Path) -> list[Run]:
    bars = (TextColumn("{task.description:<28}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn())
    runs = []
    with Progress(*bars, console=out, transient=True) as progress:
        total = progress.add_task("notebooks", total=len(paths))
        for path in paths:
            cells = sum(cell.cell_type == "code" for cell in read_notebook(path).cells)
            task = progress.add_task(path.stem, total=cells)
            done = run_notebook(path, parameters=given, folder=folder, on_cell=partial(progress.advance, task))
            seconds = progress.tasks[-1].elapsed or 0.0
            progress.remove_task(task)
            progress.advance(total)
            progress.console.print(f"  {'[red]failed[/]' if done.failure else '[green]ok[/]    '} {path.stem}  {seconds:.1f} s")
            missing = sorted(name for name, value in given.items() if value is not None and name not in done.parameters)
            if missing:
                progress.console.print(f"         takes no {', '.join(missing)}: ran with its own", style="yellow")
            runs.append(done)
    return runs


@app.command()
def check(
    export: Annotated[str, typer.Argument(metavar="EXPORT", help="CSV, Parquet, a folder, a glob, or bundled:NAME.")],
    mapping: MappingOption = None,
    as_of: AsOfOption = None,
) -> None:
    """Read an export and say what was read and what is wrong with it."""
    with _readable_errors():
        log = read_crm(export, mapping=mapping, as_of=as_of)
        counts = log.stages()
        out.print(f"[bold]{escape(export)}[/]")
        if isinstance(log, CountsLog):
            out.print("counts per stage; an audit needs one row per stage entry or per deal")
        else:
            entities, events = int(log.events.entity.nunique().execute()), int(log.events.count().execute())
            out.print(f"{entities:,} entities, {events:,} events, observed {log.window}")
        out.print(_table(counts.frame[["stage", "entered", "advanced", "lost", "open"]]))
        if not isinstance(log, CountsLog):
            audit = log.audit()
            out.print(f"{audit.headline:.2%} of {audit.entities:,} entities won so far; what each finding moves that by:")
            found = audit.found[["check", "entities", "effect", "first", "rule"]]
            out.print(_table(found.assign(effect=found["effect"].map("{:+.2%}".format))) if len(found) else "Nothing found.")
            for text in audit.not_checked:
                out.print(f"not checked: {escape(text)}", style="dim")


def _table(frame: Any) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, header_style="bold", pad_edge=False)
    for name, column in frame.items():
        table.add_column(str(name), justify="right" if column.dtype.kind in "if" or name == "effect" else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{value:,}" if isinstance(value, int) else escape(str(value)) for value in row))
    return table


@notebooks_app.command("list")
def list_notebooks() -> None:
    """Name the notebooks, with their titles."""
    for path in find_notebooks():
        out.print(f"{path.stem:<26} {escape(title_of(read_notebook(path)))}")


@notebooks_app.command()
def copy(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made when it is not there.")]) -> None:
    """Copy the notebooks to a folder, to open and change them there."""
    with _readable_errors():
        copied, kept = copy_notebooks(folder)
    out.print(f"{len(copied)} notebooks copied to {folder}; open them with: jupyter lab {folder}")
    for path in kept:
        out.print(f"left as it was: {path}", style="yellow")


@notebooks_app.command()
def refresh(patterns: Patterns = None) -> None:
    """Run the notebooks of a checkout in place and keep outputs that are fit to be committed."""
    if "_bundled" in bundled_path("notebooks").parts:
        err.print("[bold red]error[/] refresh works on a checkout of the repository; this is an installed package")
        raise typer.Exit(1)
    with _readable_errors():
        paths = find_notebooks(patterns or ())
        runs = _run_all(paths, {}, Path.cwd())
    for path, done in zip(paths, runs, strict=True):
        if done.failure:
            err.print(f"{done.name}: {escape(str(done.failure))}")
        else:
            write_text(path, notebook_text(done.notebook))
    if any(done.failure for done in runs):
        raise typer.Exit(1)
