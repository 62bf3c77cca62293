"""Open whatever holds an export as Ibis tables, without reading more of it than the engine needs.

A path (CSV, Parquet, a folder, a glob) or a DataFrame is opened in an embedded DuckDB; an Ibis table stays on its own
backend. Text files are read as text: what a text means is decided in :mod:`funnelstats.data.parse`, where a wrong guess
becomes a named problem instead of a missing value.
"""

import glob
import tempfile
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from funnelstats.errors import DataError, Problem

#: Name of the column with the row's number in its source, counted from 1 without the header.
ROW = "_row"
_TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")


def open_tables(source: Any) -> dict[str, ir.Table]:
    """Open ``source`` as one table for each file.

    Parameters
    ----------
    source : path, DataFrame or Ibis table
        A glob or a Parquet folder of one name pattern is one table; a folder of CSV files is one table each.

    Returns
    -------
    dict of str to Table
        Keys are file names, in lower case.

    Raises
    ------
    DataError
        No such file, an empty file, or a type that cannot be read.
    """
    if isinstance(source, ir.Table):
        return {source.get_name() if hasattr(source, "get_name") else "table": source}
    con = ibis.duckdb.connect(temp_directory=str(Path(tempfile.gettempdir()) / "funnelstats-duckdb"))
    if isinstance(source, pd.DataFrame):
        frame = source.reset_index(drop=True).rename(columns=str)
        if frame.empty:
            raise DataError("the DataFrame", [Problem("rows", "expected at least one, found none")])
        return {"dataframe": con.create_table("source", frame.assign(**{ROW: range(1, len(frame) + 1)}), temp=True)}
    if not isinstance(source, str | Path):
        found = f"expected a path, a DataFrame or an Ibis table, found {type(source).__name__}"
        raise DataError("the source", [Problem("source", found)])
    return {name: _open_file(con, name, paths) for name, paths in _files(str(source)).items()}


def _files(source: str) -> dict[str, list[str]]:
    path = Path(source)
    if path.is_dir():
        found = sorted(str(p) for p in path.iterdir() if p.name.lower().endswith((*_TEXT, ".parquet")))
        parquet = [p for p in found if p.endswith(".parquet")]
        files = {"parquet": parquet} if parquet and len(parquet) == len(found) else {Path(p).name.lower(): [p] for p in found}
    elif any(mark in source for mark in "*?["):
        files = {path.name.lower(): sorted(glob.glob(source, recursive=True))}
    else:
        files = {path.name.lower(): [source]} if path.is_file() else {}
    if not files or not all(files.values()):
        fix = "give a CSV or Parquet file, a folder of them or a glob such as 'exports/*.csv'"
        raise DataError(source, [Problem("source", "no such file", fix)])
    return files


def _open_file(con: Any, name: str, paths: list[str]) -> ir.Table:
    if all(p.endswith((".parquet", ".pq")) for p in paths):
        return con.read_parquet(paths)
    if all(Path(p).stat().st_size == 0 for p in paths):
        raise DataError(name, [Problem("rows", "expected a header and at least one row, found an empty file")])
    options: dict[str, Any] = {"all_varchar": True, "header": True, "null_padding": False, "ignore_errors": False}
    if _is_utf16(paths[0]):
        options["encoding"] = "utf-16"
    try:
        table = con.read_csv(paths, **options)
        table = con.create_table(f"source_{abs(hash(name))}", table.mutate(**{ROW: ibis.row_number() + 1}), temp=True)
    except Exception as error:  # DuckDB's parser names line and cause; the user should see just that
        cause = str(error).strip().splitlines()
        raise DataError(name, [Problem("file", "not readable as a delimited text file: " + " ".join(cause[:3]))]) from error
    if table.count().execute() == 0:
        raise DataError(name, [Problem("rows", "expected at least one below the header, found none")])
    return table


def _is_utf16(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(2) in (b"\xff\xfe", b"\xfe\xff")
