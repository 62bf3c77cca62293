"""Is this the same content as last time? SHA-256 of every value of an event log, and of the files it was read from.

The digest of a log is that of all its values, whatever the order of the rows, the name of the file or the engine that holds them:
one changed timestamp changes it, a file written anew does not.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa

from funnelstats.data.counts import CountsLog
from funnelstats.data.events import EventLog
from funnelstats.data.transactions import Transactions

#: Where a row stood in which kind of file is no content.
_PLACE = ("_row", "_shape")


@lru_cache(maxsize=8)  # a log is a value; a report asks for the digest of one log for every number in it
def content_digest(log: EventLog | CountsLog | Transactions, *, purpose: str = "") -> str:
    """SHA-256 of the full content of a log: all events, the stages, the window; of an order book: all purchases.

    Parameters
    ----------
    log : EventLog, CountsLog or Transactions
    purpose : str
        Another digest of the same content, from which this one cannot be told; for keys.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> from funnelstats.data.crm import read_crm
    >>> log = read_crm("bundled:crm_second")
    >>> content_digest(log) == content_digest(read_crm("bundled:crm_second", as_of="2026-03-30"))
    False
    """
    if isinstance(log, CountsLog):
        parts: list[Any] = [log.counts.digest]
    elif isinstance(log, Transactions):
        parts = [events_digest(log.table), log.currency, log.as_of]
    else:
        parts = [events_digest(log.events), log.stage_names, log.lost, log.optional, str(log.window)]
    text = json.dumps(parts).encode()
    return hmac.new(purpose.encode(), text, hashlib.sha256).hexdigest() if purpose else hashlib.sha256(text).hexdigest()


def events_digest(events: ir.Table) -> str:
    """SHA-256 of the values of a table of events, in no order of rows; columns are in the order of their names."""
    columns = sorted(name for name in events.columns if name not in _PLACE)
    rows = sorted(_row_digests(events.select(*columns)))
    return hashlib.sha256(json.dumps(columns).encode() + b"".join(rows)).hexdigest()


def _row_digests(events: ir.Table) -> Iterator[bytes]:
    for batch in events.to_pyarrow().to_batches(max_chunksize=100_000):
        for row in zip(*(_plain(column) for column in batch.columns), strict=True):
            yield hashlib.sha256(json.dumps(row, default=str).encode()).digest()


def _plain(column: pa.Array) -> list[Any]:
    """Values as Python's; every moment in microseconds, every number as a float, whatever the engine keeps them in."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    elif pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        column = column.cast(pa.float64(), safe=False)
    return column.to_pylist()


def sha256_of(path: Path) -> str | None:
    """SHA-256 of a file; of a folder or a glob, that of the lines ``digest  name`` of its files; None for anything else."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(part for part in (path.iterdir() if path.is_dir() else path.parent.glob(path.name)) if part.is_file())
    lines = "".join(f"{sha256_of(part)}  {part.name}\n" for part in files)
    return hashlib.sha256(lines.encode()).hexdigest() if files else None
