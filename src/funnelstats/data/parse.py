"""What moment does a text mean? Told inside the engine, with every value that refuses.

A format is inferred from the whole column: one that reads every value wins. Where month-first and day-first both read every
value, nobody can tell, and the reader asks instead of guessing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis.expr.operations import IsNan

from funnelstats.data.checks import Check
from funnelstats.errors import Problem

_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_DATES = ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y",
          "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%Y%m%d", "%Y年%m月%d日")  # fmt: skip
FORMATS = tuple(date + time for date in _DATES for time in _TIMES)
_ONE, _TWO = r"\d{1,2}", r"\d{2}"
_LOOKS = {"d": _ONE, "m": _ONE, "Y": r"\d{4}", "y": _TWO, "H": _ONE, "I": _ONE, "M": _TWO, "S": _TWO, "p": "[APap][Mm]",
          "b": "[A-Za-z]{3}", "B": "[A-Za-z]+"}  # fmt: skip
_LOOKED_AT = 1000
#: Number kept instead of a date -> (its zero, seconds in its unit).
NUMBERS = {"excel": ("1899-12-30", 86400.0), "unix": ("1970-01-01", 1.0), "unix_ms": ("1970-01-01", 0.001)}
#: What programs write where there is nothing.
_NOTHING = r"(?i)^(-|--|null|none|nan|nat|#?n/a|na|\\N)$"
_CLOCK = "^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?"
_BLANKS = "^[\\s\u00a0\u202f\ufeff]+|[\\s\u00a0\u202f\ufeff]+$"
#: A date before this is what a database writes for "none".
EARLIEST = "1971-01-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A column as values, the rows that refused, and what is wrong with the column as a whole."""

    value: ir.Value
    checks: tuple[Check, ...] = ()
    problems: tuple[Problem, ...] = ()


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def try_strptime(text: str, pattern: str) -> dt.timestamp:
    """DuckDB's strptime that yields null where the text does not fit."""


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def timezone(zone: str, value: dt.Timestamp(timezone="UTC")) -> dt.timestamp:  # type: ignore[valid-type]
    """DuckDB's conversion of an instant to the clock of a zone."""


def trimmed(value: ir.Value) -> ir.StringValue:
    """Text without the blanks around it; null where nothing is left."""
    return value.cast("string").re_replace(_BLANKS, "").nullif("")


def filled(value: ir.Value) -> ir.StringValue:
    """Text without the blanks around it; null where it says that there is nothing."""
    return value.cast("string").re_replace(_BLANKS, "").re_replace(_NOTHING, "").nullif("")


def present(value: ir.Value, *, backend: Any) -> ir.Value:
    """Null in place of "not a number", where the type and the engine know such a thing."""
    if value.type().is_floating() and backend.has_operation(IsNan):
        return ibis.ifelse(value.isnan(), ibis.null(value.type()), value)
    return value


def is_nothing(text: str) -> bool:
    """Whether a text says that there is nothing, as :func:`filled` has it."""
    return not text.strip() or re.match(_NOTHING, text.strip()) is not None


def dates(table: ir.Table, column: str, *, date_format: str = "") -> Parsed:
    """Read a column as timestamps without time zone (UTC).

    Parameters
    ----------
    table : Table
        The source.
    column : str
        A date, timestamp, text or number column.
    date_format : str
        ``strftime`` pattern, or ``"excel"``, ``"unix"``, ``"unix_ms"``, to use instead of inferring one.
    """
    value = table[column]
    kind = value.type()
    if kind.is_timestamp():
        return _plausible(column, value, _utc(table, value) if kind.timezone else value.cast(dt.timestamp))
    if kind.is_date() or kind.is_null():
        return _plausible(column, value, value.cast(dt.timestamp))
    if date_format in NUMBERS and (kind.is_numeric() or kind.is_string()):
        number = value if kind.is_numeric() else filled(value).try_cast("float64")
        return _refusing(column, value, filled(value), _from_number(number, date_format), f"{date_format} day or time numbers")
    if not kind.is_string():
        fix = (
            'set date_format = "excel", "unix" or "unix_ms" in the mapping' if kind.is_numeric() else "write them like 2026-06-30"
        )
        return Parsed(value=ibis.null("timestamp"), problems=(Problem(column, f"expected dates, found {kind}", fix),))
    text = filled(value)
    if date_format:
        return _refusing(column, value, text, try_strptime(text, date_format), f"dates like {date_format}")
    return _inferred(table, column, text)


def _inferred(table: ir.Table, column: str, text: ir.StringValue) -> Parsed:
    plain, zoned = _iso(text), _iso_zoned(table, text)
    row = table.aggregate(n=text.count(), plain=plain.count(), zoned=zoned.count()).execute().iloc[0]
    iso = plain if not row["zoned"] else ibis.coalesce(plain, zoned)
    read = row["plain"] + row["zoned"]
    if read == row["n"]:
        return _plausible(column, table[column], iso)
    if table.get_backend().name != "duckdb":
        return _refusing(column, table[column], text, iso, "dates like 2026-06-30")
    some = table.filter(text.notnull()).select(text=text).limit(_LOOKED_AT).execute()["text"]
    formats = {pattern: int(some.str.fullmatch(_regex(pattern)).sum()) for pattern in FORMATS}
    shortlist = [pattern for pattern, count in formats.items() if count == len(some)]
    fits, differ = _fitting(table, text, shortlist) if shortlist else ([], False)
    if fits and not differ:
        return _plausible(column, table[column], try_strptime(text, fits[0]))
    if fits:
        choices = " or ".join(f'date_format = "{pattern}"' for pattern in fits)
        what = f"day and month cannot be told apart, since every value fits {' and '.join(fits)}, for example {some.iloc[0]!r}"
        return Parsed(value=ibis.null("timestamp"), problems=(Problem(column, what, f"set {choices} in the mapping"),))
    if some.str.fullmatch(r"\d{5}([.]\d+)?").mean() > 1 / 2:
        what = f"expected dates, found numbers like {some.iloc[0]}, such as a spreadsheet's count of days"
        return Parsed(value=ibis.null("timestamp"), problems=(Problem(column, what, 'set date_format = "excel" in the mapping'),))
    best = max(formats, key=lambda pattern: formats[pattern])
    value = iso if read * len(some) >= formats[best] * row["n"] else try_strptime(text, best)
    return _refusing(column, table[column], text, value, "dates of one format, such as 2026-06-30")


def _fitting(table: ir.Table, text: ir.StringValue, shortlist: Sequence[str]) -> tuple[list[str], bool]:
    """Formats that read every value, and whether they read some of them differently."""
    tried = [try_strptime(text, pattern) for pattern in shortlist]
    counts = {f"n{place}": value.count() for place, value in enumerate(tried)}
    differ = {f"d{place}": (tried[0] != value).sum() for place, value in enumerate(tried)}
    row = table.aggregate(_all=text.count(), **counts, **differ).fill_null(0).execute().iloc[0]
    places = [place for place in range(len(tried)) if row[f"n{place}"] == row["_all"]]
    return [shortlist[place] for place in places], any(row[f"d{place}"] != row[f"d{places[0]}"] for place in places)


def _regex(pattern: str) -> str:
    """What a text in this format looks like."""
    return re.sub(r"%(.)", lambda part: _LOOKS[part[1]], re.escape(pattern))


def _iso(text: ir.StringValue) -> ir.TimestampValue:
    """ISO 8601 without a zone; null for anything else."""
    return text.re_extract(_CLOCK + "$", 0).try_cast(dt.timestamp)


def _iso_zoned(table: ir.Table, text: ir.StringValue) -> ir.TimestampValue:
    """ISO 8601 with a zone, on the clock of UTC."""
    zoned = text.re_extract(_CLOCK + " *(Z|UTC|GMT|[+-][0-9]{2}(:?[0-9]{2})?)$", 0)
    return _utc(table, zoned.re_replace(" +([+-])", r"\1").try_cast(dt.Timestamp(timezone="UTC")))


def _utc(table: ir.Table, value: ir.TimestampValue) -> ir.TimestampValue:
    """The same instant on the clock of UTC, whatever time zone the session has; to the second on other engines."""
    if table.get_backend().name == "duckdb":
        return timezone("UTC", value)
    return ibis.timestamp("1970-01-01 00:00:00") + value.epoch_seconds().as_interval("s")


def _from_number(number: ir.NumericValue, unit: str) -> ir.TimestampValue:
    zero, seconds = NUMBERS[unit]
    return ibis.timestamp(f"{zero} 00:00:00") + (number * seconds).round().cast("int64").as_interval("s")


def _refusing(column: str, value: ir.Value, text: ir.Value, parsed: ir.Value, expected: str) -> Parsed:
    refused = text.notnull() & parsed.isnull()
    check = Check(reason="unreadable date", where=column, what=f"expected {expected}", bad=refused, shown=value,
                  fix="correct them, or leave them empty where there is no date")  # fmt: skip
    return _plausible(column, value, parsed, check)


def _plausible(column: str, value: ir.Value, parsed: ir.Value, *checks: Check) -> Parsed:
    bad = parsed < ibis.timestamp(f"{EARLIEST} 00:00:00")
    early = Check(reason="impossible date", where=column, what=f"expected dates from {EARLIEST} on", shown=value, bad=bad,
                  fix="leave the date empty where there is none")  # fmt: skip
    return Parsed(value=parsed, checks=(*checks, early))
