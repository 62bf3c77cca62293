"""Which column is meant, whatever case, blanks or underscores the source spells it with?"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from funnelstats.data.table import Table
from funnelstats.data.table import nearest as nearest
from funnelstats.errors import Problem

_SINGLE = ("entity", "stage", "at", "deleted", "merged", "link")


def find(wanted: str, columns: Sequence[str]) -> str | None:
    """Return the column that ``wanted`` names, or None.

    Parameters
    ----------
    wanted : str
        One name, or several separated by ``|`` of which the first present is taken; a closing ``?`` makes it optional.
    columns : sequence of str
        Columns of the source.

    Examples
    --------
    >>> find("_fivetran_start|created_date", ["Id", "CreatedDate"])
    'CreatedDate'
    """
    found = _candidates(wanted, columns)
    return found[0] if found else None


def resolve(table: Table, columns: Sequence[str]) -> tuple[Table, list[Problem]]:
    """Replace every column name of ``table`` by the source's own spelling; optional columns that are absent are left out.

    Returns
    -------
    table : Table
        With names that the source has.
    problems : list of Problem
        One for each required column that the source lacks or has twice.
    """
    problems: list[Problem] = []

    def take(wanted: str) -> str:
        found = _candidates(wanted, columns) if wanted else []
        if not found and not wanted.endswith("?") and wanted:
            problems.append(Problem(wanted, "column expected, not found", nearest(wanted.split("|")[0], columns)))
        if len(found) > 1:
            problems.append(
                Problem(wanted, f"expected one column, found {', '.join(map(repr, found))}", "write the name in full")
            )
        return found[0] if found else ""

    def take_all(named: dict[str, str]) -> dict[str, str]:
        return {name: found for name, wanted in named.items() if (found := take(wanted))}

    single: dict[str, Any] = {key: take(getattr(table, key)) for key in _SINGLE}
    only = {found: value for wanted, value in table.only.items() if (found := take(wanted))}
    return replace(table, **single, dates=take_all(table.dates), columns=take_all(table.columns), only=only), problems


def used(table: Table) -> list[str]:
    """List the columns that a resolved table names, each once."""
    single = [getattr(table, key) for key in _SINGLE]
    return [name for name in dict.fromkeys([*single, *table.dates.values(), *table.columns.values(), *table.only]) if name]


def distinct_names(names: Sequence[str]) -> list[str]:
    """Tell columns of one name apart by their place, so that nobody reads the wrong one unawares.

    Examples
    --------
    >>> distinct_names(["id", "Date", "date", ""])
    ['id', 'Date (column 2)', 'date (column 3)', '(column 4)']
    """
    count = Counter(name.strip().casefold() for name in names)
    return [f"{name.strip()} (column {place})".strip() if not name.strip() or count[name.strip().casefold()] > 1 else name.strip()
            for place, name in enumerate(names, start=1)]  # fmt: skip


def _candidates(wanted: str, columns: Sequence[str]) -> list[str]:
    """All columns that the first name to match could mean; more than one only where spelling alone tells them apart."""
    for name in (wanted, wanted.removesuffix("?")):
        if name in columns:
            return [name]
    for name in wanted.removesuffix("?").split("|"):
        if name in columns:
            return [name]
        found = [column for column in columns if _fold(column) == _fold(name)]
        if found:
            return found
    return []


def _fold(name: str) -> str:
    return re.sub(r"[\s_\-]", "", name).casefold()
