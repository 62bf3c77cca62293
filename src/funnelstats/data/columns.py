"""Find the column that is meant, whatever case, spaces or underscores the source spells it with."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from funnelstats.data.mapping import Table
from funnelstats.errors import Problem


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
    exact = wanted.removesuffix("?")
    if exact in columns:
        return exact
    folded = {_fold(name): name for name in reversed(columns)}
    return next((folded[_fold(name)] for name in exact.split("|") if _fold(name) in folded), None)


def resolve(table: Table, columns: Sequence[str]) -> tuple[Table, list[Problem]]:
    """Replace every column name of ``table`` by the source's own spelling; optional columns that are absent are left out.

    Returns
    -------
    table : Table
        With names that the source has.
    problems : list of Problem
        One for each required column that the source lacks.
    """
    problems: list[Problem] = []

    def take(wanted: str) -> str:
        found = find(wanted, columns) if wanted else ""
        if found is None and not wanted.endswith("?"):
            problems.append(Problem(wanted, "column expected, not found", nearest(wanted.split("|")[0], columns)))
        return found or ""

    def take_all(named: dict[str, str]) -> dict[str, str]:
        return {name: found for name, wanted in named.items() if (found := take(wanted))}

    single = {key: take(getattr(table, key)) for key in ("entity", "stage", "at", "deleted", "merged", "link")}
    resolved = replace(table, **single, dates=take_all(table.dates), columns=take_all(table.columns))
    return resolved, problems


def nearest(name: str, known: Iterable[object]) -> str:
    """Name what was probably meant, or list what there is.

    Examples
    --------
    >>> nearest("stage_nme", ["stage_name", "amount"])
    "did you mean 'stage_name'?"
    """
    lowered = {str(one).lower(): str(one) for one in known}
    close = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.6)
    if close:
        return f"did you mean {lowered[close[0]]!r}?"
    listed = sorted(one for one in lowered.values() if not one.startswith("_row"))
    return f"known: {', '.join(listed[:12])}" + (f" and {len(listed) - 12} more" if len(listed) > 12 else "")


def _fold(name: str) -> str:
    return re.sub(r"[\s_\-]", "", name).casefold()
