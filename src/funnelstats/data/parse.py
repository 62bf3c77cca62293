"""Turn text into dates and numbers inside the engine, and name every value that refuses.

A format is inferred from the whole column: one that reads every value wins. Where month-first and day-first both read every
value, nobody can tell, and the reader asks instead of guessing.
"""

from collections.abc import Iterator

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from funnelstats.data.sources import ROW
from funnelstats.errors import Problem

_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")
_DATES = ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%m/%d/%y", "%d/%m/%y", "%d-%b-%Y", "%b %d, %Y")
FORMATS = tuple(date + time for date in _DATES for time in _TIMES)


@ibis.udf.scalar.builtin
def try_strptime(text: str, pattern: str) -> dt.timestamp:
    """DuckDB's strptime that yields null where the text does not fit."""


def dates(table: ir.Table, column: str, *, date_format: str = "") -> tuple[ir.Value | None, list[Problem]]:
    """Read a column as timestamps without time zone (UTC).

    Parameters
    ----------
    table : Table
        The source.
    column : str
        A date, timestamp or text column.
    date_format : str
        ``strftime`` pattern to use instead of inferring one.

    Returns
    -------
    value : Value or None
        Timestamp expression; None when it could not be made.
    problems : list of Problem
    """
    value = table[column]
    kind = value.type()
    if kind.is_timestamp():
        return (value.cast(dt.Timestamp(timezone="UTC")).cast(dt.timestamp) if kind.timezone else value.cast(dt.timestamp)), []
    if kind.is_date():
        return value.cast(dt.timestamp), []
    if not kind.is_string():
        return None, [Problem(column, f"expected dates, found {kind}", "write them like 2026-06-30")]
    filled = value.strip().nullif("")
    if date_format:
        parsed = try_strptime(filled, date_format)
        return parsed, list(_refused(table, column, filled, parsed, f"dates like {date_format}"))
    return _inferred_dates(table, column, filled)


def _inferred_dates(table: ir.Table, column: str, filled: ir.StringValue) -> tuple[ir.Value | None, list[Problem]]:
    iso = _iso(filled)
    if table.aggregate(n=(filled.notnull() & iso.isnull()).sum()).execute()["n"].fillna(0).iloc[0] == 0:
        return iso, []
    tried = {f"f{place}": try_strptime(filled, pattern) for place, pattern in enumerate(FORMATS)}
    counts = table.aggregate(_all=filled.count(), **{name: value.count() for name, value in tried.items()}).execute().iloc[0]
    fits = [pattern for place, pattern in enumerate(FORMATS) if counts[f"f{place}"] == counts["_all"]]
    # "%y" also reads the first two digits of a year on some engines; a four-digit year that fits is the better reading
    fits = [pattern for pattern in fits if "%Y" in pattern] or fits
    if len(fits) == 1:
        return try_strptime(filled, fits[0]), []
    if fits:
        example = table.filter(filled.notnull()).select(text=filled).limit(1).execute()["text"].iloc[0]
        choices = " or ".join(f'date_format = "{pattern}"' for pattern in fits)
        what = f"day and month cannot be told apart, since every value fits {' and '.join(fits)}, for example {example!r}"
        return None, [Problem(column, what, f"set {choices} in the mapping")]
    best = max(range(len(FORMATS)), key=lambda place: counts[f"f{place}"])
    parsed = tried[f"f{best}"] if counts[f"f{best}"] else iso
    return parsed, list(_refused(table, column, filled, parsed, "dates of one format, such as 2026-06-30"))


def numbers(table: ir.Table, column: str, *, decimal: str = "") -> tuple[ir.Value | None, list[Problem]]:
    """Read a column as numbers; currency signs and thousands marks are taken off, never guessed where they are ambiguous.

    Parameters
    ----------
    table, column
        As for :func:`dates`.
    decimal : str
        ``"."`` or ``","``; inferred when empty.
    """
    value = table[column]
    if value.type().is_numeric():
        return value.cast("float64"), []
    filled = value.strip().re_replace(r"[^0-9.,+\-eE]", "").nullif("")
    if not decimal:
        # a comma with other than three digits behind it, or behind a point, can only be a decimal mark; and the reverse
        comma = filled.re_search(r",(\d{1,2}|\d{4,})$") | filled.re_search(r"\..*,")
        point = filled.re_search(r"\.(\d{1,2}|\d{4,})$") | filled.re_search(r",.*\.")
        bare = filled.re_search(r"^[+\-]?\d{1,3}([.,])\d{3}$")
        row = table.aggregate(comma=comma.sum(), point=point.sum(), bare=bare.sum()).fill_null(0).execute().iloc[0]
        if (row["comma"] and row["point"]) or (row["bare"] and not row["comma"] and not row["point"]):
            what = "decimal mark cannot be told: expected values like 1234.50 or 1234,50"
            return None, [Problem(column, what, "set decimal = \".\" or decimal = \",\" in the mapping")]
        decimal = "," if row["comma"] else "."
    plain = filled.replace(".", "").replace(",", ".") if decimal == "," else filled.replace(",", "")
    parsed = plain.try_cast("float64")
    return parsed, list(_refused(table, column, value.strip().nullif(""), parsed, "numbers"))


def flags(table: ir.Table, column: str) -> ir.BooleanValue:
    """Read a column as true or false; empty is false, any text but false, no and 0 is true."""
    value = table[column]
    if value.type().is_boolean():
        return value.fill_null(False)
    text = value.cast("string").strip().lower()
    return text.notnull() & text.notin(["", "false", "f", "no", "n", "0", "nan", "none"])


def _iso(filled: ir.StringValue) -> ir.Value:
    """ISO 8601 with a zone (converted to UTC) or without one."""
    zoned = filled.re_search(r"\d\d:\d\d.*(Z|[+-]\d\d(:?\d\d)?)$")
    with_zone = filled.try_cast(dt.Timestamp(timezone="UTC")).cast(dt.timestamp)
    return ibis.ifelse(filled.re_search(r"^\d{4}-\d{1,2}-\d{1,2}"), ibis.ifelse(zoned, with_zone, filled.try_cast(dt.timestamp)), ibis.null())


def _refused(table: ir.Table, column: str, filled: ir.Value, parsed: ir.Value, expected: str) -> Iterator[Problem]:
    """Name values that are there but could not be read, with their rows."""
    bad = table.filter(filled.notnull() & parsed.isnull())
    count = int(bad.count().execute())
    if count:
        keep = [name for name in (ROW,) if name in table.columns]
        first = bad.select(*keep, text=bad[column]).limit(3).execute()
        rows = f" (rows {', '.join(map(str, first[ROW]))})" if keep else ""
        found = ", ".join(repr(text) for text in first["text"])
        yield Problem(column, f"expected {expected}, found {count} other value{'' if count == 1 else 's'}, first: {found}{rows}")
