"""How is a delimited text file written: in which encoding, with which delimiter and which header?

The embedded engine reads a plain UTF-8 file by itself, told delimiter and header so that it guesses nothing. Whatever it
cannot read is copied, record by record, to a plain file; what cannot be copied is named with its line.
"""

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from funnelstats.data.columns import distinct_names
from funnelstats.errors import DataError, Problem

_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_ARCHIVES = ((b"PK\x03\x04", "an Excel workbook or a zip archive"), (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
             (b"PAR1", "a Parquet file"))  # fmt: skip
_DELIMITERS = (",", ";", "\t", "|")
#: Characters in which the header and some records are looked for.
_BEGINNING = 65_536
_GUESSES = ("cp1252", "gb18030", "shift_jis")
csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """Where a text file lies and how it is written.

    Parameters
    ----------
    path : str
        May be compressed with gzip.
    encoding : str
        As Python calls it.
    delimiter : str
        One character.
    columns : tuple of str
        Names of the header, made distinct.
    skip : int
        Records before the first record of data, blank lines not counted.
    plain : bool
        Whether the engine can be expected to read it as it is: UTF-8, with the header on the first line.
    """

    path: str
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    skip: int
    plain: bool


def inspect(path: str, *, encoding: str = "") -> TextFile:
    """Look at the beginning of a file.

    Parameters
    ----------
    path : str
        The file.
    encoding : str
        Known from the mapping; found out when empty (UTF-8, or UTF-16 with or without a mark).

    Raises
    ------
    DataError
        An empty file, a workbook, an encoding that does not exist, a file that is not in it.
    """
    name = Path(path).name
    with _bytes(path) as file:
        start = file.read(4)
    if not start:
        raise DataError(name, [Problem("rows", "expected a header and at least one row, found an empty file")])
    for magic, kind in _ARCHIVES:
        if start.startswith(magic):
            raise DataError(name, [Problem("file", f"expected delimited text, found {kind}", "save the sheet as CSV (UTF-8)")])
    encoding = encoding or _encoding(start)
    try:
        encoding = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
        delimiter, skip, first, header = _header(path, encoding)
    except LookupError as error:
        fix = 'for example "gb18030", "cp1252" or "utf-16"'
        raise DataError(name, [Problem("encoding", f"no encoding is called {encoding!r}", fix)]) from error
    except (UnicodeError, csv.Error) as error:
        raise DataError(name, [Problem("encoding", f"not readable as {encoding}: {error}")]) from error
    plain = encoding == "utf-8-sig" and first and skip == 1
    return TextFile(
        path=path, encoding=encoding, delimiter=delimiter, columns=tuple(distinct_names(header)), skip=skip, plain=plain
    )


def copy_plain(file: TextFile, target: Path) -> list[Problem]:
    """Write the data records of a file to ``target`` as plain CSV without a header.

    Returns
    -------
    list of Problem
        Records with more or fewer values than the header, bytes that are not text, a quote that never ends.
    """
    lenient = "surrogateescape" if file.encoding == "utf-8-sig" else "strict"
    width, ragged, foreign = len(file.columns), [], []
    with target.open("w", encoding="utf-8", errors="replace", newline="") as out:
        writer, line = csv.writer(out, lineterminator="\n"), file.skip
        try:
            for line, record in _records(file.path, file.encoding, file.delimiter, skip=file.skip, errors=lenient):
                if len(record) != width:
                    ragged.append((line, len(record)))
                if lenient == "surrogateescape" and (odd := [value for value in record if _FOREIGN.search(value)]):
                    foreign.append((line, odd[0]))
                writer.writerow(record)
        except (UnicodeError, csv.Error) as error:
            return [
                Problem("file", f"not readable from line {line + 1} on: {error}", "export the file again, or correct that line")
            ]
    return [*_ragged(ragged, width), *_foreign(foreign)]


_FOREIGN = re.compile("[\udc80-\udcff]")


def _ragged(lines: list[tuple[int, int]], width: int) -> Iterator[Problem]:
    if lines:
        found = ", ".join(f"{count} in line {line}" for line, count in lines[:3])
        what = f"expected {width} values in every record, found {found}" + (
            f" and {len(lines) - 3:,} more such lines" if len(lines) > 3 else ""
        )
        yield Problem("file", what, "put quotes around values that contain the delimiter, and remove titles and footers")


def _foreign(lines: list[tuple[int, str]]) -> Iterator[Problem]:
    if lines:
        line, value = lines[0]
        raw, readings = value.encode("utf-8", "surrogateescape"), []
        for guess in _GUESSES:
            try:
                readings.append(f'encoding = "{guess}" reads {raw.decode(guess)!r}')
            except UnicodeError:
                continue
        what = f"expected UTF-8, found other bytes in {len(lines):,} records, first in line {line}: {raw!r}"
        yield Problem("encoding", what, f"name it in the mapping: {'; '.join(readings)}" if readings else "save it as UTF-8")


def _bytes(path: str) -> Any:
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else open(path, "rb")


def _encoding(start: bytes) -> str:
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if len(start) > 1 and 0 in start[:2]:
        return "utf-16-le" if start[1] == 0 else "utf-16-be"
    return "utf-8-sig"


def _header(path: str, encoding: str) -> tuple[str, int, bool, list[str]]:
    """Choose the delimiter under which the first records agree best; Excel's line ``sep=;`` names it outright."""
    with _bytes(path) as raw, io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline="") as text:
        start = text.read(_BEGINNING)
    named = re.match(r'"?sep=(.)"?\r?\n', start)
    skip = 1 if named else 0
    tried = {}
    for delimiter in named.groups() if named else _DELIMITERS:
        reader = csv.reader(io.StringIO(start, newline=""), delimiter=delimiter)
        tried[delimiter] = list(islice(((reader.line_num, record) for record in reader if record), skip, skip + 20))
    delimiter = max(tried, key=lambda one: _agreement([record for _, record in tried[one]]))
    records = tried[delimiter]
    if len(records) < 2:
        raise DataError(Path(path).name, [Problem("rows", "expected at least one below the header, found none")])
    line, header = records[0]
    return delimiter, skip + 1, line == 1 + sum(value.count("\n") for value in header), header


def _agreement(records: list[list[str]]) -> tuple[bool, int, int]:
    """How well the first records fit their header: whether there is more than one column, records as wide as it, its width."""
    width = len(records[0]) if records else 0
    return width > 1, sum(len(record) == width for record in records), width


def _records(path: str, encoding: str, delimiter: str, *, skip: int, errors: str) -> Iterator[tuple[int, list[str]]]:
    """Yield records that are not blank, with the number of the line they end in; the first ``skip`` of them are passed over."""
    with _bytes(path) as raw, io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        yield from islice(((reader.line_num, record) for record in reader if record), skip, None)
