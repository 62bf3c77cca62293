"""Where is a real public table, is it the one the papers speak of, and what do its columns mean? Read from a copy, or fetched.

None of these files comes with the package.  A file is looked for in the folder given, in the folder named by ``FUNNELSTATS_PUBLIC`` and in
the user's cache; only then is it downloaded.  What is checked is the *content*: cells are written in one canonical way before they are
digested, so that a copy with commas, the original with semicolons and one that is compressed all count as the same table.  Numbers of
rows and of outcomes are checked as well.
"""

import gzip
import hashlib
import io
import os
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.errors import DataError, Problem

PREFIX = "public:"
#: Environment variable that names a folder of copies.
FOLDER = "FUNNELSTATS_PUBLIC"
#: Seconds until a silent server is given up, and the largest file that is taken from it.
_PATIENCE, _MOST = 60, 200_000_000
_UCI = "https://archive.ics.uci.edu/static/public"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicSet:
    """One public table: what it is called, how it is known again, and its roles.

    Attributes
    ----------
    names : tuple of str
        File names under which it is found, with or without ``.gz``, also inside an archive.
    digest : str
        SHA-256 of the canonical content, see :func:`digest_of`.
    rows : int
    outcome, yes : str, int
        A column and how many of its rows say yes; empty and 0 for a table without an outcome.
    url : str
        An archive or file to fetch; empty where only a prepared copy can be read.
    source, licence : str
        Whom to cite, and the terms.
    note : str
        What to beware of.
    currency, as_of : str
    roles : dict
        For :class:`~funnelstats.data.cases.Roles`; empty for tables of transactions.
    """

    names: tuple[str, ...]
    digest: str
    rows: int
    outcome: str = ""
    yes: int = 0
    url: str = ""
    source: str
    licence: str = "CC BY 4.0"
    note: str = ""
    currency: str = ""
    as_of: str = ""
    roles: Mapping[str, Any] = field(default_factory=dict)


_BANK = "Moro, Rita & Cortez (2014), Bank Marketing, UCI, doi:10.24432/C5K306."
_SHOP = "Sakar & Kastro (2018), Online Shoppers Purchasing Intention, UCI, doi:10.24432/C5F88Q."
_CALL = "The length of the call, duration, is known only when the call has ended, and with it the outcome; campaign counts this call too."

#: Name -> table. ``public:NAME`` reads it.
PUBLIC: dict[str, PublicSet] = {
    "bank": PublicSet(
        names=("bank_full.csv", "bank-full.csv"), url=f"{_UCI}/222/bank+marketing.zip", source=_BANK, rows=45_211, outcome="y", yes=5_289,
        digest="b44507c26634736d4a0619ec2d7c4b6ff56a2c63cbeb5176d3134e7b25e416f0", currency="EUR", note=_CALL,
        roles={"outcome": "y", "known_after": ("duration",), "segment": "job",
               "features": ("age", "job", "marital", "education", "default", "balance", "housing", "loan", "contact", "month",
                            "campaign", "previous", "poutcome")},
    ),
    "bank_additional": PublicSet(
        names=("bank_additional_full.csv", "bank-additional-full.csv"), url=f"{_UCI}/222/bank+marketing.zip", source=_BANK, rows=41_188,
        outcome="y", yes=4_640, digest="bb45add91d4e02870fcde28ee4f913b78268a5aa6051e8fbe2c3e16010404355", currency="EUR", note=f"{_CALL} In the order of calls, May 2008 to November 2010.",
        roles={"outcome": "y", "known_after": ("duration",), "segment": "job",
               "features": ("age", "job", "marital", "education", "default", "housing", "loan", "contact", "month", "day_of_week",
                            "campaign", "previous", "poutcome", "euribor3m")},
    ),
    "shoppers": PublicSet(
        names=("online_shoppers_intention.csv",), url=f"{_UCI}/468/online+shoppers+purchasing+intention+dataset.zip", source=_SHOP,
        rows=12_330, outcome="Revenue", yes=1_908, digest="dd951c05a278dc5e325505f5da09c559a2a39a3676459e8d12f944633413015f", currency="TRY",
        note="PageValues is worked out from the revenue of the pages seen, so it is treated as known only after the outcome.",
        roles={"outcome": "Revenue", "known_after": ("PageValues",), "segment": "VisitorType",
               "features": ("Administrative", "Informational", "ProductRelated", "ProductRelated_Duration", "BounceRates", "ExitRates",
                            "SpecialDay", "Month", "VisitorType", "Weekend", "TrafficType")},
    ),
    "online_retail": PublicSet(
        names=("online_retail_invoices.csv",), rows=22_190, digest="1a3ee59dabc2b2f8609e03b926febdbaca66ff16e79559e7b0ac7bcbcec5e343", currency="GBP", as_of="2011-12-09",
        source="Chen (2015), Online Retail, UCI, doi:10.24432/C5BW33, summed up by invoice.",
        note="Only invoices with a customer; cancelled ones are negative.",
    ),
    "online_retail_ii": PublicSet(
        names=("online_retail_2009_2011_invoices.csv",), rows=44_876, digest="282a262952206e6343632b189a8ebfd1142deb9d224ed573f1571143b47ac251", currency="GBP", as_of="2011-12-09",
        source="Chen (2019), Online Retail II, UCI, doi:10.24432/C5CG6D, summed up by invoice.",
        note="Only invoices with a customer; cancelled ones are negative.",
    ),
}  # fmt: skip


def public_set(name: str) -> PublicSet:
    """Find a public table by its name, with or without ``public:``.

    Raises
    ------
    DataError
        No such name; the list is given.

    Examples
    --------
    >>> public_set("public:bank").yes
    5289
    """
    wanted = name.removeprefix(PREFIX)
    if wanted not in PUBLIC:
        raise DataError("the public data", [Problem("name", f"expected one of {', '.join(PUBLIC)}, found {wanted!r}")])
    return PUBLIC[wanted]


def load_public(name: str | PublicSet, *, folder: str | Path | None = None, cache: str | Path | None = None) -> pd.DataFrame:
    """Read a public table from a copy, or fetch it once.

    Parameters
    ----------
    name : str or PublicSet
        Such as ``"public:bank"``.
    folder : path, optional
        Folder, or file, of a copy; looked at before ``FUNNELSTATS_PUBLIC`` and the cache.
    cache : path, optional
        Where a downloaded file is kept; the user's cache folder by default.

    Returns
    -------
    DataFrame
        Columns as published.

    Raises
    ------
    DataError
        The file is nowhere to be had, or it is another one: what differs is said.
    """
    spec = name if isinstance(name, PublicSet) else public_set(name)
    return checked(parsed(public_path(spec, folder=folder, cache=cache).read_bytes()), spec).apply(_empty_is_missing)


def public_path(spec: str | PublicSet, *, folder: str | Path | None = None, cache: str | Path | None = None) -> Path:
    """Return the local file of a public table, downloading it into the cache when there is none."""
    spec = spec if isinstance(spec, PublicSet) else public_set(spec)
    kept = Path(cache) if cache is not None else _cache()
    places = _places(folder, kept)
    return _at_hand(spec, places) or _fetch(spec, kept, places)


def public_copy(name: str, *, folder: str | Path | None = None) -> Path | None:
    """Return the local file of a public table; None where there is none, for nothing is fetched."""
    return _at_hand(public_set(name), _places(folder, _cache()))


def _places(folder: str | Path | None, cache: Path) -> list[Path]:
    return [Path(one).expanduser() for one in (folder, os.environ.get(FOLDER), cache) if one]


def _at_hand(spec: PublicSet, places: list[Path]) -> Path | None:
    for place in places:
        if place.is_file():
            return place
        for name in (written for known in spec.names for written in (known, f"{known}.gz")):
            if (place / name).is_file():
                return place / name
    return None


def parsed(content: bytes) -> pd.DataFrame:
    """Read a table whose separator is a comma or a semicolon, compressed or not."""
    text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    head = text.split(b"\n", 1)[0]
    separator = ";" if head.count(b";") > head.count(b",") else ","
    return pd.read_csv(io.BytesIO(text), sep=separator, na_values=[], keep_default_na=False)


def checked(frame: pd.DataFrame, spec: PublicSet) -> pd.DataFrame:
    """Refuse a table that is not the one meant; its digest decides, rows and outcomes say what differs."""
    problems = []
    if len(frame) != spec.rows:
        problems.append(Problem("rows", f"expected {spec.rows:,}, found {len(frame):,}"))
    if spec.outcome and spec.outcome not in frame:
        problems.append(Problem(spec.outcome, f"column expected, not found among {list(frame.columns)[:5]}"))
    elif spec.outcome and (yes := int(_truths(frame[spec.outcome]).sum())) != spec.yes:
        problems.append(Problem(spec.outcome, f"expected {spec.yes:,} with yes, found {yes:,}"))
    if not problems and (found := digest_of(frame)) != spec.digest:
        problems.append(Problem("content", f"expected SHA-256 {spec.digest[:12]}..., found {found[:12]}...: some cells differ"))
    if problems:
        raise DataError(f"{spec.names[0]}, {spec.source}", problems)
    return frame


def digest_of(frame: pd.DataFrame) -> str:
    """SHA-256 of a table's content: names and cells as text, numbers to twelve digits, truth values in lower case.

    Examples
    --------
    >>> digest_of(pd.DataFrame({"a": [1.0], "b": ["TRUE"]})) == digest_of(pd.DataFrame({"a": [1], "b": [True]}))
    True
    """
    cells = pd.DataFrame({str(name): _canonical(column) for name, column in frame.items()})
    return hashlib.sha256(cells.to_csv(index=False, lineterminator="\n").encode()).hexdigest()


def _canonical(column: pd.Series) -> np.ndarray:
    """Cells as text; what occurs often is written once."""
    place, values = pd.factorize(column, use_na_sentinel=False)
    different = pd.Series(values)
    numbers = pd.to_numeric(different, errors="coerce") if not pd.api.types.is_bool_dtype(column) else pd.Series(dtype=float)
    if len(numbers) and numbers.notna().all():
        written = [f"{value:.12g}" for value in numbers.astype(float)]
    else:
        written = [lower if (lower := str(value).lower()) in ("true", "false") else str(value) for value in different]
    return np.asarray(written, dtype=object)[place]


def _truths(column: pd.Series) -> pd.Series:
    return column.map(lambda value: str(value).lower() in ("yes", "true", "1"))


def _empty_is_missing(column: pd.Series) -> pd.Series:
    """Numbers with empty cells among them were read as text."""
    if pd.api.types.is_numeric_dtype(column):
        return column
    empty = column.astype(str).str.strip() == ""
    if not empty.any():
        return column
    kept = column.mask(empty)
    numbers = pd.to_numeric(kept, errors="coerce")
    return numbers if kept.notna().any() and numbers.notna().equals(kept.notna()) else kept


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "funnelstats"


def _fetch(spec: PublicSet, cache: Path, looked: list[Path]) -> Path:
    """Download, find the table in the archive, check it, and only then keep it."""
    where = ", ".join(str(place) for place in looked)
    remedy = f"copy it into one of these folders, or name its folder in the variable {FOLDER}"
    if not spec.url:
        raise DataError(
            spec.names[0], [Problem("file", f"not found in {where}, and there is no address to fetch it from", remedy)]
        )
    try:
        with urllib.request.urlopen(spec.url, timeout=_PATIENCE) as answer:
            content = answer.read(_MOST)
    except (urllib.error.URLError, OSError) as error:
        found = f"not found in {where}; {spec.url} did not answer ({getattr(error, 'reason', error)})"
        raise DataError(spec.names[0], [Problem("file", found, remedy)]) from error
    table = next(
        (part for name, part in _members("download", content) if Path(name).name.removesuffix(".gz") in spec.names), content
    )
    if table[:2] == b"PK":
        found = f"expected one of {', '.join(spec.names)} in the archive, found none"
        raise DataError(spec.url, [Problem("archive", found)])
    checked(parsed(table), spec)
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / spec.names[0]
    handle, beside = tempfile.mkstemp(dir=cache, prefix=target.name, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        file.write(gzip.decompress(table) if table[:2] == b"\x1f\x8b" else table)
    os.replace(beside, target)
    return target


def _members(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Files of an archive, and of the archives inside it."""
    if content[:2] != b"PK":
        yield name, content
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for inner in archive.namelist():
            if not inner.endswith("/"):
                yield from _members(inner, archive.read(inner))
