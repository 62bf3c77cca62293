"""What holds the export, and how does each of its tables become an Ibis table?

A path (CSV, Parquet, a folder, a glob) or a DataFrame is opened in an embedded DuckDB; an Ibis table stays on its own
backend. Text files are read as text: what a text means is decided in :mod:`funnelstats.data.parse`, where a wrong guess
becomes a named problem instead of a missing value.
"""

import glob
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from funnelstats.data.columns import distinct_names
from funnelstats.data.textfile import TextFile, copy_plain, inspect
from funnelstats.errors import DataError, Problem

#: Name of the column with the row's number in its source, counted from 1 below the header.
ROW = "_source_row"
_TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One table of a source, read when its columns are known.

    Parameters
    ----------
    name : str
        File name; how a mapping's ``file`` finds it.
    columns : tuple of str
        What can be read.
    read : callable
        Takes the names of the columns wanted; returns them as a table, with the row number where the source has one.
    copied : bool
        Whether reading copies the rows into the embedded engine.
    """

    name: str
    columns: tuple[str, ...]
    read: Callable[[Sequence[str]], ir.Table]
    copied: bool


def open_parts(source: Any, *, encoding: str = "") -> list[Part]:
    """Find the tables of ``source``.

    Parameters
    ----------
    source : path, DataFrame or Ibis table
        A glob or a folder of Parquet files is one table; a folder of CSV files is one table each.
    encoding : str
        Of text files, where it is neither UTF-8 nor UTF-16.

    Returns
    -------
    list of Part

    Raises
    ------
    DataError
        No such file, an empty file, or a type that cannot be read.
    """
    if isinstance(source, ir.Table):
        return [Part(name=_name(source), columns=source.columns, read=lambda wanted: source.select(*wanted), copied=False)]
    con = ibis.duckdb.connect(temp_directory=str(Path(tempfile.gettempdir()) / "funnelstats-duckdb"))
    if isinstance(source, pd.DataFrame):
        return [_open_frame(con, source)]
    if not isinstance(source, str | Path):
        found = f"expected a path, a pandas DataFrame or an Ibis table, found {type(source).__name__}"
        raise DataError("the source", [Problem("source", found, "ibis.memtable(...) makes a table of many other kinds")])
    return [_open_files(con, name, paths, encoding) for name, paths in _files(str(source)).items()]


def join_parts(parts: Sequence[Part]) -> Part:
    """Stack files of one kind: columns are matched by name, empty where a file lacks them; rows are numbered through."""
    if len(parts) == 1:
        return parts[0]
    columns = tuple(dict.fromkeys(name for part in parts for name in part.columns))

    def read(wanted: Sequence[str]) -> ir.Table:
        tables = [part.read([name for name in wanted if name in part.columns]) for part in parts]
        starts = accumulate((int(table.count().execute()) for table in tables[:-1]), initial=0)
        filled = []
        for table, start in zip(tables, starts, strict=True):
            cells = {name: table[name].cast("string") if name in table.columns else ibis.null("string") for name in wanted}
            row = table[ROW] + start if ROW in table.columns else ibis.null("int64")
            filled.append(table.select(**cells, **{ROW: row.cast("int64")}))
        return reduce(lambda one, other: one.union(other), filled)

    return Part(
        name=", ".join(part.name for part in parts), columns=columns, read=read, copied=any(part.copied for part in parts)
    )


def _name(table: ir.Table) -> str:
    name = getattr(table.op(), "name", None)
    return name if isinstance(name, str) else "Ibis table"


def _files(source: str) -> dict[str, list[str]]:
    """Name -> paths that make up one table."""
    path = Path(source).expanduser()
    if path.is_file():
        return {path.name: [str(path)]}
    if path.is_dir():
        files = _folder(path)
        what = "no CSV or Parquet file in this folder"
    else:
        files = {path.name: sorted(glob.glob(str(path), recursive=True))}
        what = "no such file"
    if not files or not all(files.values()):
        fix = "give a CSV or Parquet file, a folder of them or a glob such as 'exports/*.csv'"
        raise DataError(source, [Problem("source", what, fix)])
    return files


def _folder(path: Path) -> dict[str, list[str]]:
    """Each text file is a table; Parquet files of one set of columns, wherever they lie, are one table together."""
    seen = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith((".", "_")))
    files = {p.name: [str(p)] for p in seen if p.name.lower().endswith(_TEXT)}
    parquet = [p for p in seen if p.name.lower().endswith(_PARQUET)]
    if not files and not parquet:
        parquet = sorted(p for p in path.rglob("*") if p.name.lower().endswith(_PARQUET) and not p.name.startswith((".", "_")))
    groups: dict[tuple[str, ...], list[str]] = {}
    for p in parquet:
        groups.setdefault(tuple(sorted(pq.read_schema(p).names)), []).append(str(p))
    if len(groups) == 1:
        return files | {path.resolve().name: next(iter(groups.values()))}
    return files | {str(Path(paths[0]).relative_to(path)): paths for paths in groups.values()}


def _open_files(con: Any, name: str, paths: list[str], encoding: str) -> Part:
    if not all(p.lower().endswith(_PARQUET) for p in paths):
        return join_parts([_open_text(con, inspect(p, encoding=encoding)) for p in paths])
    try:
        table = con.read_parquet(paths)
        columns = table.columns
        if len(paths) == 1 and "file_row_number" not in columns:
            table = con.read_parquet(paths, file_row_number=True)
            table = table.rename({ROW: "file_row_number"}).mutate(**{ROW: lambda t: t[ROW] + 1})
    except Exception as error:  # whatever the engine's reason, the user should see that and the file
        raise DataError(name, [Problem("file", f"not readable as Parquet: {_first_line(error)}")]) from error
    keep = [ROW] if ROW in table.columns else []
    return Part(name=name, columns=columns, read=lambda wanted: table.select(*wanted, *keep), copied=False)


def _open_text(con: Any, file: TextFile) -> Part:
    name = Path(file.path).name
    return Part(name=name, columns=file.columns, read=lambda wanted: _read_text(con, file, wanted), copied=True)


def _read_text(con: Any, file: TextFile, wanted: Sequence[str]) -> ir.Table:
    if file.plain:
        try:
            return _load(con, file.path, file.delimiter, file.columns, wanted, skip=1)
        except Exception as error:  # the copy below finds the lines to blame, or reads what the engine could not
            reason = _first_line(error)
    else:
        reason = ""
    with tempfile.TemporaryDirectory(prefix="funnelstats-") as folder:
        copy = Path(folder) / "copy.csv"
        problems = copy_plain(file, copy)
        if problems:
            raise DataError(Path(file.path).name, problems)
        try:
            return _load(con, str(copy), ",", file.columns, wanted, skip=0)
        except Exception as error:
            raise DataError(Path(file.path).name, [Problem("file", f"not readable: {reason or _first_line(error)}")]) from error


def _load(con: Any, path: str, delimiter: str, columns: Sequence[str], wanted: Sequence[str], *, skip: int) -> ir.Table:
    """Read with nothing left to the engine's guess: its sniffer takes ``#`` for a comment and skips lines it dislikes."""
    options = {"auto_detect": False, "delim": delimiter, "quote": '"', "escape": '"', "header": False, "skip": skip,
               "comment": "", "null_padding": False, "ignore_errors": False}  # fmt: skip
    table = con.read_csv(path, columns=dict.fromkeys(columns, "VARCHAR"), **options)
    numbered = table.select(*wanted, **{ROW: ibis.row_number() + 1})
    return con.create_table(ibis.util.gen_name("source"), numbered, temp=True)


def _open_frame(con: Any, frame: pd.DataFrame) -> Part:
    """Open a copy of the frame: a named index is a column, the user's own frame stays as it is."""
    if frame.empty:
        raise DataError("the DataFrame", [Problem("rows", "expected at least one, found none")])
    named = [name is not None for name in frame.index.names]
    table = frame.reset_index(drop=not all(named))
    table.columns = pd.Index(distinct_names([str(name) for name in table.columns]))
    empty = [name for name in table if table[name].dtype == object and table[name].isna().all()]
    table = table.astype(dict.fromkeys(empty, "str"))

    def read(wanted: Sequence[str]) -> ir.Table:
        numbered = table[list(wanted)].assign(**{ROW: range(1, len(table) + 1)})
        try:
            return con.create_table(ibis.util.gen_name("source"), numbered, temp=True)
        except (pa.ArrowException, TypeError, ValueError, AttributeError) as error:
            raise DataError("the DataFrame", [*_unreadable(con, numbered)]) from error

    return Part(name="the DataFrame", columns=tuple(table.columns), read=read, copied=True)


def _unreadable(con: Any, frame: pd.DataFrame) -> list[Problem]:
    problems = []
    for name in frame:
        try:
            con.create_table(ibis.util.gen_name("column"), frame[[name]], temp=True)
        except (pa.ArrowException, TypeError, ValueError, AttributeError) as error:
            reason = error.args[0] if error.args else type(error).__name__
            what = f"expected text, numbers or dates, found values of type {frame[name].dtype} that cannot be read ({reason})"
            problems.append(Problem(str(name), what, "convert the column to one kind of these"))
    return problems


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
