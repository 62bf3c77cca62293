"""How is a value written as JSON and read back? As named fields, and with a fingerprint.

Only frozen dataclasses of this package, plain values, arrays, frames and timestamps can be written: nothing that runs code
when it is read. The same text is what a data digest and a citation id are made of.
"""

import hashlib
import importlib
import json
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.errors import DataError, Problem

PACKAGE = "funnelstats"


def encode(value: Any) -> Any:
    """Turn a value into what JSON can hold.

    Raises
    ------
    DataError
        The value is of a kind that this package does not write.

    Examples
    --------
    >>> decode(encode({"rates": (0.1, 0.2)}))
    {'rates': (0.1, 0.2)}
    >>> decode(encode((pd.NaT,)))
    (NaT,)
    """
    match value:
        case None | bool() | int() | str():
            return value
        case np.bool_() | np.integer():
            return value.item()
        case float() | np.floating():
            number = float(value)
            return number if np.isfinite(number) else {"float": str(number)}
        case pd.Timestamp():
            return {"time": value.isoformat()}
        case _ if value is pd.NaT:
            return {"time": "NaT"}
        case tuple():
            return {"tuple": [encode(item) for item in value]}
        case list():
            return [encode(item) for item in value]
        case dict():
            return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
        case np.ndarray():
            return {"array": str(value.dtype), "shape": list(value.shape), "values": [encode(v) for v in value.ravel().tolist()]}
        case pd.DataFrame():
            return {
                "frame": [[encode(name), str(part.dtype), [encode(v) for v in part.tolist()]] for name, part in value.items()]
            }
    if is_dataclass(value) and not isinstance(value, type):
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        return {"of": name, "fields": {field.name: encode(getattr(value, field.name)) for field in fields(value)}}
    raise DataError("writing a fit", [Problem(type(value).__name__, "expected a plain value, an array, a frame or a dataclass")])


def decode(value: Any) -> Any:
    """Read what :func:`encode` wrote."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"float": text}:
            return float(text)
        case {"time": text}:
            return pd.Timestamp(text)
        case {"tuple": items}:
            return tuple(decode(item) for item in items)
        case {"dict": pairs}:
            return {decode(key): decode(item) for key, item in pairs}
        case {"array": dtype, "shape": shape, "values": items}:
            return np.array([decode(item) for item in items], dtype=dtype).reshape(shape)
        case {"frame": columns}:
            return pd.DataFrame({decode(name): pd.Series(decode(values), dtype=dtype) for name, dtype, values in columns})
        case {"of": name, "fields": parts}:
            kind = class_of(name)
            given = {field.name for field in fields(kind) if field.init}  # the others say of themselves what they are
            return kind(**{key: decode(part) for key, part in parts.items() if key in given})
    raise DataError("reading a fit", [Problem("document", f"expected a value written by this package, found {list(value)}")])


def class_of(name: str) -> Any:
    """Find the class ``"funnelstats.module:Name"``; no other package is imported at a file's request."""
    module, _, attribute = name.partition(":")
    if module.split(".")[0] == PACKAGE:
        found = getattr(importlib.import_module(module), attribute, None)
        if isinstance(found, type) and is_dataclass(found):
            return found
    raise DataError("reading a fit", [Problem("class", f"expected a dataclass of {PACKAGE}, found {name!r}")])


def text_of(value: Any) -> str:
    """Canonical JSON text of a value."""
    return json.dumps(encode(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(value: Any) -> str:
    """SHA-256 of the full content of a value."""
    return hashlib.sha256(text_of(value).encode()).hexdigest()
