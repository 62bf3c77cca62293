"""Which table of the export does the mapping speak of, where there are several?"""

from collections.abc import Sequence

from funnelstats.data.columns import resolve
from funnelstats.data.mapping import Mapping
from funnelstats.data.sources import Part, join_parts
from funnelstats.data.table import Table
from funnelstats.errors import DataError, Problem


def match(parts: Sequence[Part], mapping: Mapping, *, source: str) -> list[tuple[Part, Table]]:
    """Pair the tables of the source with those of the mapping.

    A mapping of one table without ``file`` reads everything there is as one. Otherwise ``file`` decides by name, and where it
    is not given or the source has no names, the columns do.

    Raises
    ------
    DataError
        A table of the mapping without a file, or with several.
    """
    if len(mapping.tables) == 1 and (len(parts) == 1 or not mapping.tables[0].file):
        return [(join_parts(parts), mapping.tables[0])]
    pairs, problems = [], []
    for table in mapping.tables:
        named = [part for part in parts if table.file and table.file.casefold() == part.name.casefold()]
        named = named or [part for part in parts if table.file and table.file.casefold() in part.name.casefold()]
        fitting = named or [part for part in parts if (len(parts) == 1 or not table.file) and not resolve(table, part.columns)[1]]
        if len(fitting) == 1:
            pairs.append((fitting[0], table))
        elif fitting or len(parts) > 1:
            problems.append(_problem(table, fitting or parts, several=bool(fitting)))
    if not pairs and not problems:
        lacking = [problem for table in mapping.tables for problem in resolve(table, parts[0].columns)[1]]
        problems = [Problem("columns", f"no table of {mapping.name} fits this one"), *lacking]
    if problems:
        raise DataError(source, problems)
    return pairs


def _problem(table: Table, parts: Sequence[Part], *, several: bool) -> Problem:
    wanted = (
        f"whose name contains {table.file!r}"
        if table.file
        else f"with the columns {table.entity}, {table.stage or ', '.join(table.dates.values())}"
    )
    found = ", ".join(part.name for part in parts)
    fix = (
        "say more of the name in file, or leave only one"
        if several
        else "add the file, correct file in the mapping, or take that table out"
    )
    return Problem("file", f"expected one file {wanted}, found {'several: ' if several else ''}{found}", fix)
