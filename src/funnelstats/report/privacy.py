"""What may leave this machine? Pseudonyms in place of names and ids, or counts alone.

A pseudonym is keyed (HMAC-SHA256, RFC 2104): the same name and key give the same pseudonym, and without the key nobody can try names
one after the other. Without a key of your own the key is made of the full content of the data, so that two runs agree and whoever has
the key has the names anyway; next quarter's export then has other pseudonyms. Nothing here opens a connection.
"""

import hmac
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from funnelstats.data.counts import CountsLog
from funnelstats.data.events import EventLog
from funnelstats.data.fingerprint import content_digest
from funnelstats.data.stages import StageCounts, StageHazards
from funnelstats.errors import DataError, Problem
from funnelstats.report.suppress import SMALLEST, suppress_small

#: Columns that name a kind of deal, not a person or a company; all others are taken for names.
KINDS = ("channel", "region", "country", "state", "product", "series", "sector", "industry", "segment", "size", "source", "campaign",
         "pipeline", "type", "stage")  # fmt: skip
#: What a pseudonym begins with.
WORDS = {"owner": "consultant", "entity": "deal", "account": "company", "customer": "customer"}
KEY_VARIABLE = "FUNNELSTATS_KEY"
LEAST_KEY = 16
#: Labels that stand where no name does.
_NOBODY = ("(none)", "(undated)", "other")


def pseudonymise[D: (EventLog, CountsLog, StageCounts, StageHazards)](
    data: D, *, key: str | bytes | None = None, keep: Sequence[str] = ()
) -> D:
    """Put pseudonyms in place of the ids of deals and of every name that is not the name of a kind.

    Parameters
    ----------
    data : EventLog, CountsLog, StageCounts or StageHazards
        It comes back unchanged; what is returned speaks of the same entities under other names.
    key : str or bytes, optional
        At least 16 bytes. A key made of the content where not given.
    keep : sequence of str
        Columns to leave as they are, besides channel, region and others that name a kind.

    Returns
    -------
    same as ``data``

    Raises
    ------
    DataError
        A key that is too short to be one.

    Examples
    --------
    >>> counts = StageCounts.of(pd.DataFrame({"owner": ["Ann"] * 2, "stage": ["Lead", "Won"], "entered": [9, 2]}), by=["owner"])
    >>> pseudonymise(counts, key="a key of sixteen bytes").frame["owner"].tolist()
    ['consultant-dd65', 'consultant-dd65']
    """
    secret, kind = _secret(data, key)
    left = (*KINDS, *keep)
    if isinstance(data, EventLog):
        return _log(data, secret, kind, left)
    if isinstance(data, CountsLog):
        said = data.reading and replace(data.reading, pseudonyms=(kind, *keep))
        return replace(data, counts=_table(data.counts, secret, left), reading=said)
    return _table(data, secret, left)


def counts_only(log: EventLog | CountsLog, *, by: str | Sequence[str] = (), k: int = SMALLEST) -> CountsLog:
    """Keep counts alone: no record, no date of a record, no group of fewer than ``k``.

    Parameters
    ----------
    log : EventLog or CountsLog
    by : str or sequence of str
        Columns to count by; names of people should be pseudonymised before.
    k : int
        Smaller groups are merged into "other".

    Returns
    -------
    CountsLog
        For everything that asks for counts; what needs single records refuses.

    Examples
    --------
    >>> from funnelstats.data.crm import read_crm
    >>> counts_only(read_crm("bundled:crm_second"), by="channel").stages().frame["entered"].tolist()[::5]
    [2500, 79]
    """
    columns = (by,) if isinstance(by, str) else tuple(by)
    reading = log.reading and replace(log.reading, counts_by=columns, smallest=k)
    return CountsLog(counts=suppress_small(log.stages(columns), k=k).table, reading=reading)


def read_key(path: Path | str | None = None) -> bytes | None:
    """The key in a file, else that of the environment variable ``FUNNELSTATS_KEY``, else None."""
    if path is not None:
        try:
            return Path(path).expanduser().read_bytes().strip()
        except OSError as error:
            raise DataError(str(path), [Problem("key", f"not readable: {error.strerror}")]) from error
    text = os.environ.get(KEY_VARIABLE, "")
    return text.encode() or None


# -- how -----------------------------------------------------------------------------------------------------------
def _secret(data: Any, key: str | bytes | None) -> tuple[bytes, str]:
    if key is None:
        whole = (
            content_digest(data, purpose="pseudonyms") if isinstance(data, EventLog | CountsLog) else f"pseudonyms {data.digest}"
        )
        return whole.encode(), "content"
    secret = key.encode() if isinstance(key, str) else key
    if len(secret) < LEAST_KEY:
        fix = "make one, for example: python -c 'import secrets; print(secrets.token_hex(32))'"
        raise DataError("the pseudonyms", [Problem("key", f"expected at least {LEAST_KEY} bytes, found {len(secret)}", fix)])
    return secret, "key"


def names_for(column: str, values: Iterable[str], secret: bytes) -> dict[str, str]:
    """Pseudonyms of the values of a column; those that would be the same get more digits."""
    values = [value for value in values if value not in _NOBODY]
    digests = {value: hmac.new(secret, f"{column}\0{value}".encode(), "sha256").hexdigest() for value in sorted(set(values))}
    found = {value: digest[:4] for value, digest in digests.items()}
    for digits in (8, 16, 64):
        twice = {short for short, times in Counter(found.values()).items() if times > 1}
        found = {value: digests[value][:digits] if short in twice else short for value, short in found.items()}
    return {name: name for name in _NOBODY} | {value: f"{WORDS.get(column, column)}-{short}" for value, short in found.items()}


def _log(log: EventLog, secret: bytes, kind: str, left: Sequence[str]) -> EventLog:
    events, table = log.events, log.events
    for column in ("entity", *(name for name in log.attributes if name not in left)):
        values = events.select(value=events[column].cast("string")).distinct().execute()["value"].dropna()
        table = _replaced(table, column, names_for(column, values, secret))
    keep = tuple(name for name in left if name not in KINDS)
    said = log.reading and replace(log.reading, pseudonyms=(kind, *keep))
    table = table.select(*events.columns)
    backend = table.get_backend()
    if backend.name == "duckdb":  # once, and not again for every count; a warehouse may not let us write
        table = backend.create_table(ibis.util.gen_name("pseudonyms"), table, temp=True)
    return replace(log, events=table, source=_bare(log.source, log.reading), reading=said)


def _replaced(table: ir.Table, column: str, names: dict[str, str]) -> ir.Table:
    """Exchange the values of a column, where the table lies."""
    if not names:
        return table
    book = ibis.memtable(pd.DataFrame({"_name": list(names), "_pseudonym": list(names.values())}))
    joined = table.left_join(book, table[column].cast("string") == book["_name"])
    return joined.mutate(**{column: joined["_pseudonym"]}).select(*table.columns)


def _table[T: (StageCounts, StageHazards)](table: T, secret: bytes, left: Sequence[str]) -> T:
    columns = [name for name in table.by if name not in left]
    frame = table.frame.copy()
    for column in columns:
        frame[column] = frame[column].astype(str).map(names_for(column, frame[column].astype(str), secret))
    new = replace(table, frame=frame, source=_bare(table.source, None))
    if isinstance(new, StageCounts):
        return new.stages_by(*new.by) if columns else new
    rank = {name: place for place, name in enumerate(table.stages)}
    ordered: Callable[[pd.Series], pd.Series] = lambda column: column.map(rank) if column.name == "stage" else column  # noqa: E731
    return replace(new, frame=frame.sort_values([*table.by, "stage", "age"], key=ordered, ignore_index=True))


def _bare(source: str, reading: Any) -> str:
    """The name of a file without its folder."""
    path = reading.source if reading is not None else source
    return source if source.startswith("bundled:") or not path else source.replace(path, Path(path).name)
