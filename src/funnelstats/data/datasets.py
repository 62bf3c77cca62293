"""Which data come with the package, where do they come from, and what do their columns mean?

Each data set is one or more CSV files and a card, ``NAME.toml``. A file is checked against the SHA-256 on its card before it
is read, so a result can name the data by their card alone.
"""

import difflib
import hashlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from funnelstats.bundle import bundled_path
from funnelstats.errors import DataError, Problem

_DTYPES = {"text": "str", "whole number": "int64", "number": "float64", "yes or no": "bool"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its type, its unit (empty for text and pure numbers) and its meaning."""

    name: str
    type: str
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One file of a data set."""

    path: str
    sha256: str
    columns: tuple[Column, ...]
    separator: str = ","
    decimal: str = "."
    date_format: str = "ISO8601"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a reader must know before using a data set.

    Parameters
    ----------
    name, title : str
        Name for :func:`load_dataset`, and one line.
    kind : str
        ``"simulated"``, ``"published table"``, ``"packaged"`` or ``"article"``.
    source : str
        Whom to cite.
    licence : str
        Under which terms it comes.
    tables : tuple of Table
        Files with their SHA-256 and columns.
    note : str
        What to beware of.
    as_of : str
        End of observation, where the data have one.
    currency : str
        ISO code of amounts.
    mapping : str
        For CRM exports: a preset's name, or a mapping file beside the data.
    made_by : dict
        For simulated data: ``function``, ``arguments`` and ``writer`` that made them, and the writer's own arguments ``as_written``.
    roles : dict
        For tables of one row per case: which column is the outcome, which are known before it, and so on.
    """

    name: str
    title: str
    kind: str
    source: str
    licence: str
    tables: tuple[Table, ...]
    note: str = ""
    as_of: str = ""
    currency: str = ""
    mapping: str = ""
    made_by: dict[str, Any] = field(default_factory=dict)
    roles: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}: {self.title}. {self.source} Licence: {self.licence}."


def list_datasets() -> list[str]:
    """List the names of the bundled data sets.

    Examples
    --------
    >>> "ucb_admissions" in list_datasets()
    True
    """
    return sorted(path.stem for path in bundled_path("data").glob("*.toml") if not path.name.endswith(".mapping.toml"))


def dataset_card(name: str) -> Card:
    """Read a data set's card.

    Parameters
    ----------
    name : str
        One of :func:`list_datasets`; ``"NAME/FILE"`` is understood too.

    Returns
    -------
    Card

    Raises
    ------
    DataError
        No such data set; the nearest name and the list are given.

    Examples
    --------
    >>> dataset_card("ucb_admissions").kind
    'published table'
    """
    known, wanted = list_datasets(), name.split("/")[0]
    if wanted not in known:
        close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.4)
        fix = (f"did you mean {close[0]!r}? " if close else "") + f"known: {', '.join(known)}"
        raise DataError("the bundled data", [Problem("name", f"no data set is called {name!r}", fix)])
    spec = tomllib.loads((bundled_path("data") / f"{wanted}.toml").read_text(encoding="utf-8"))
    tables = tuple(_table(path, part) for path, part in spec.pop("files").items())
    return Card(name=wanted, tables=tables, **spec)


def dataset_path(name: str) -> Path:
    """Return the path of a data set's file, or of its folder when it has several; ``"NAME/FILE"`` is one file of several."""
    card = dataset_card(name)
    if "/" in name or len(card.tables) == 1:
        return bundled_path("data") / _chosen(card, name).path
    return bundled_path("data") / card.name


def dataset_mapping(name: str) -> str:
    """Return what ``read_crm`` needs as ``mapping``: a preset's name or the path of a mapping file."""
    card = dataset_card(name)
    if not card.mapping:
        problem = Problem("mapping", "not a CRM export, so it has no mapping", "use load_dataset")
        raise DataError(f"the data set {card.name}", [problem])
    return str(bundled_path("data") / card.mapping) if card.mapping.endswith(".toml") else card.mapping


def load_dataset(name: str) -> pd.DataFrame:
    """Load a bundled table with typed columns.

    Parameters
    ----------
    name : str
        One of :func:`list_datasets`. A data set of several files gives its first; ``"NAME/FILE"`` gives another.

    Returns
    -------
    DataFrame
        Columns, units and meanings as on :func:`dataset_card`.

    Raises
    ------
    DataError
        Unknown name, or a file whose SHA-256 is not the card's.

    Examples
    --------
    >>> admissions = load_dataset("ucb_admissions")
    >>> int(admissions["applied"].sum())
    4526
    """
    card = dataset_card(name)
    table = _chosen(card, name)
    path = bundled_path("data") / table.path
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != table.sha256:
        what = f"expected SHA-256 {table.sha256[:12]}..., found {found[:12]}...: the file is not the one on the card"
        raise DataError(f"the data set {card.name}", [Problem(table.path, what, "restore it, or reinstall the package")])
    dates = [column.name for column in table.columns if column.type == "date"]
    types = {column.name: _DTYPES[column.type] for column in table.columns if column.type != "date"}
    frame = pd.read_csv(path, dtype={**types, **dict.fromkeys(dates, "str")}, sep=table.separator, decimal=table.decimal)
    for date in dates:
        frame[date] = pd.to_datetime(frame[date], format=table.date_format).astype("datetime64[us]")
    return frame


def _chosen(card: Card, name: str) -> Table:
    if "/" not in name:
        return card.tables[0]
    names = {Path(table.path).stem: table for table in card.tables}
    wanted = name.split("/", 1)[1].removesuffix(".csv")
    if wanted not in names:
        raise DataError(f"the data set {card.name}", [Problem("file", f"expected one of {sorted(names)}, found {wanted!r}")])
    return names[wanted]


def _table(path: str, spec: dict[str, Any]) -> Table:
    columns = spec.pop("columns").items()
    return Table(path=path, columns=tuple(Column(name=name, type=k, unit=u, meaning=m) for name, (k, u, m) in columns), **spec)
