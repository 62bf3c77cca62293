"""What can be done with an export in one command? A report: a page, a document, tables or JSON with the cards, by the ending of the path."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from funnelstats.data.crm import read_crm
from funnelstats.errors import FunnelStatsError
from funnelstats.report.document import count_of_sections
from funnelstats.report.privacy import read_key
from funnelstats.report.writing import SMALLEST, write_report

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command of this module to the program."""
    app.command()(report)


def report(
    export: Annotated[str, typer.Argument(metavar="EXPORT", help="CSV, Parquet, a folder, a glob, or bundled:NAME.")],
    output: Annotated[list[Path], typer.Option("--output", "-o", metavar="FILE", help="Ends with .html, .md, .docx, .json or .xlsx; may be given several times.")],
    mapping: Annotated[str | None, typer.Option(metavar="FILE|PRESET", help="What the columns mean: a TOML file, salesforce or hubspot.")] = None,
    as_of: Annotated[str | None, typer.Option(metavar="DATE", help="Until when the export was complete, such as 2026-06-30.")] = None,
    orders: Annotated[str | None, typer.Option(metavar="FILE", help="Purchases of customers: customer, date, amount.")] = None,
    compare: Annotated[Path | None, typer.Option(metavar="JSON", help="An earlier report, to say what changed.")] = None,
    names: Annotated[bool, typer.Option("--names", help="Show consultants by name; pseudonyms otherwise.")] = False,
    counts_only: Annotated[bool, typer.Option("--counts-only", help="Use counts by stage alone, no dates of single records.")] = False,
    key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="The key of the pseudonyms; made of the data when left out.")] = None,
    smallest: Annotated[int, typer.Option(metavar="N", min=1, help="Smaller counts are not shown.")] = SMALLEST,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:  # fmt: skip
    """Write a report on an export: what share is won, how long it takes, where it sticks, what it is worth, and how sure that is."""
    try:
        key = read_key(key_file)
        bars = (TextColumn("{task.description:<28}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*bars, console=err, transient=True) as progress:
            task = progress.add_task("Reading", total=count_of_sections() + 2)

            def step(title: str) -> None:
                progress.update(task, advance=1, description=title)

            log = read_crm(export, mapping=mapping, as_of=as_of)
            document = write_report(log, output, names=names, key=key, counts_only=counts_only, orders=orders, compare=compare,
                                    smallest=smallest, seed=seed, on_section=step)  # fmt: skip
    except FunnelStatsError as error:
        err.print(f"[bold red]error[/] {escape(str(error))}")
        raise typer.Exit(1) from None
    for path in output:
        out.print(f"Report  {path}", markup=False)
    for sentence in document.headlines:
        out.print(f"\n{sentence.text}" + (f" [{sentence.card}]" if sentence.card else ""), markup=False)
    for section in document.sections:
        if section.missing:
            out.print(f"\n{section.title}: {section.missing}", markup=False, style="dim")
