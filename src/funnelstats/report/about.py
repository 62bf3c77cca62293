"""With which versions, and from which data, did these numbers come about?"""

import platform
from importlib.metadata import version
from typing import Any

PACKAGES = ("funnelstats", "numpy", "pandas", "scipy", "statsmodels", "pymc", "arviz", "ibis-framework", "duckdb")


def about(*things: Any) -> str:
    """Describe the versions in use and each thing that was used, for the last cell of a notebook.

    Parameters
    ----------
    *things : EventLog, StageCounts, Fit, ...
        What the numbers rest on; counts are named by the SHA-256 of their content, a fit by its record.

    Returns
    -------
    About
        Text, one line for each; notebooks show it as it is.

    Examples
    --------
    >>> from funnelstats.data.stages import StageCounts
    >>> print(about(StageCounts.of({"Lead": 9, "Won": 2})).splitlines()[-1][:38])
    StageCounts of counts, sha256 76f3e46f
    """
    lines = ["Python " + platform.python_version() + ", " + ", ".join(f"{name} {version(name)}" for name in PACKAGES)]
    lines += [_line(thing) for thing in things]
    return About("\n".join(lines))


class About(str):
    """Text that a notebook shows without quotation marks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _line(thing: Any) -> str:
    if hasattr(thing, "record"):
        return f"{type(thing).__name__}, record {thing.record.id}"
    if hasattr(thing, "digest"):
        return f"{type(thing).__name__} of {thing.source}, sha256 {thing.digest[:16]}"
    return repr(thing).strip("<>")
