"""How does an export become a report in one call? Names are replaced, the sections are made, and every format is written whole.

By default nobody can be named from what is written: labels of people and ids of records are replaced by pseudonyms made with a key,
and no count of fewer than ten is shown.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from funnelstats.data.counts import CountsLog
from funnelstats.data.events import EventLog
from funnelstats.data.transactions import Transactions
from funnelstats.errors import DataError, Problem
from funnelstats.report.document import Document, compose, parts_of
from funnelstats.report.material import MOST_MEMBERS, Material
from funnelstats.report.office import to_docx, to_xlsx
from funnelstats.report.page import to_html
from funnelstats.report.plain_text import to_json, to_markdown
from funnelstats.report.privacy import counts_only as without_records
from funnelstats.report.privacy import pseudonymise
from funnelstats.report.whole import write_bytes

#: Ending of a path -> how the document becomes the content of a file.
FORMATS: dict[str, Callable[[Document], bytes]] = {
    ".html": lambda document: to_html(document).encode(),
    ".md": lambda document: to_markdown(document).encode(),
    ".docx": to_docx,
    ".json": lambda document: to_json(document).encode(),
    ".xlsx": to_xlsx,
}
#: Least count that leaves the machine.
SMALLEST = 10


def write_report(
    data: Any, path: str | Path | Sequence[str | Path] = (), *, names: bool = False, key: str | bytes | None = None, counts_only: bool = False,
    orders: Any = None, compare: str | Path | None = None, smallest: int = SMALLEST, seed: int = 0, draws: int = 500, chains: int = 4,
    on_section: Callable[[str], None] | None = None,
) -> Document:  # fmt: skip
    """Write a report on a log, or on fits, to one file or several.

    Parameters
    ----------
    data : EventLog, CountsLog, Fit, or a sequence of a log and fits
        What is reported.
    path : path or sequence of paths
        The ending says the format: ``.html``, ``.md``, ``.docx``, ``.json``, ``.xlsx``. None at all: nothing is written.
    names : bool
        Show consultants by name and records by id.
    key : str or bytes, optional
        With which pseudonyms are made, so that they stay the same over exports; one made of the content of the data where not given.
    counts_only : bool
        Use the counts by stage alone, as if the dates of single records had never been read.
    orders : Transactions, path or "bundled:NAME", optional
        Purchases of customers, for the section on customers.
    compare : path, optional
        An earlier report (JSON): what changed since becomes a section.
    smallest : int
        Counts below it are not shown; 1 shows all.
    seed, draws, chains : int
        Of every fit.
    on_section : function, optional
        Told the title of each section before it is made.

    Returns
    -------
    Document
        What was written.

    Raises
    ------
    DataError
        An unknown ending, a folder that is not there, data that are no log and no fit: before anything is computed or written.

    Examples
    --------
    >>> from funnelstats.data.crm import read_crm
    >>> document = write_report(read_crm("bundled:crm_counts"))
    >>> [one.key for one in document.sections][:2], "dates" in document.section("time").missing
    (['funnel', 'time'], True)
    """
    paths = [Path(one) for one in ([path] if isinstance(path, str | Path) else path)]
    _check(paths, smallest, compare)
    log, fits = parts_of(data)
    if log is not None and not names:
        log = pseudonymise(cast(Any, log), key=key)
    if counts_only and log is not None:
        log, fits = without_records(log, by=_columns(log), k=smallest), ()
    book = orders if orders is None or isinstance(orders, Transactions) else Transactions.of(orders)
    material = Material(log=log, fits=fits, orders=book, seed=seed, draws=draws, chains=chains, smallest=smallest, names=names)
    document = compose(material, compare=Path(compare) if compare else None, on_section=on_section)
    contents = [FORMATS[one.suffix.lower()](document) for one in paths]  # all of them are made before the first is written
    for one, content in zip(paths, contents, strict=True):
        write_bytes(one, content)
    return document


def _check(paths: Sequence[Path], smallest: int, compare: str | Path | None) -> None:
    problems = [Problem(str(one), f"expected a path that ends with {', '.join(FORMATS)}, found {one.suffix or 'no ending'!r}")
                for one in paths if one.suffix.lower() not in FORMATS]  # fmt: skip
    problems += [Problem(str(one), "the folder is not there", "make it first") for one in paths if not one.parent.is_dir()]
    if compare is not None and not Path(compare).is_file():
        problems.append(Problem(str(compare), "no such report", "give the JSON of an earlier one"))
    if smallest < 1:
        problems.append(Problem("smallest", f"expected 1 or more, found {smallest}"))
    if problems:
        raise DataError("the report", problems)


def _columns(log: EventLog | CountsLog) -> list[str]:
    """Columns to count by: consultants and channels, or the first two with few labels."""
    names = log.attributes if isinstance(log, EventLog) else log.counts.by
    few = [name for name in names if log.stages(name).frame[name].nunique() <= MOST_MEMBERS]
    return sorted(few, key=lambda name: ("owner", "channel", name).index(name))[:2]
