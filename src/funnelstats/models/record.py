"""How did these draws come about, and by what name can they be cited? A record answers both."""

import platform
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any, Self, get_args

from funnelstats.errors import DataError, Problem
from funnelstats.models.encode import digest_of, text_of

LIBRARIES = ("funnelstats", "numpy", "scipy", "xarray", "pymc", "pytensor", "nutpie", "arviz-stats")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Model, method, seed, versions and a digest of the data.

    Attributes
    ----------
    model : str
        Class name.
    specification : str
        The model's fields as canonical JSON.
    method : str
        How draws were obtained.
    seed, draws, chains : int
    settings : tuple of (str, value)
        What else was chosen, such as ``("target_accept", 0.9)``.
    n, censored : int
        Observations, and those of them still undecided at the end of observation; None where nothing can be undecided, or be seen to be.
    counted : str
        What ``n`` counts, such as ``"trials in 71 groups"``.
    window : str
        Observation window in words.
    source : str
        Where the data come from.
    data_digest : str
        SHA-256 of the full content of the sufficient statistics.
    versions : tuple of (str, str)
        Of the interpreter and the libraries. They are no part of :attr:`id`.

    Examples
    --------
    >>> from dataclasses import replace
    >>> record = Record.of(model=(), data=(1, 2), method="exact", seed=1, draws=10, chains=4, n=2, counted="numbers")
    >>> record.id == replace(record, versions=()).id, record.id == replace(record, seed=2).id
    (True, False)
    """

    model: str
    specification: str
    method: str
    seed: int
    draws: int
    chains: int
    settings: tuple[tuple[str, Any], ...] = ()
    n: int
    censored: int | None = None
    counted: str
    window: str = "no dates"
    source: str = ""
    data_digest: str
    versions: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, *, model: Any, data: Any, window: Any = None, **known: Any) -> Self:
        """Build from a model and its sufficient statistics; ``known`` are the remaining attributes."""
        known |= {"model": type(model).__name__, "specification": text_of(model), "data_digest": digest_of(data)}
        return cls(window="no dates" if window is None else str(window), versions=versions(), **known)

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits that name the analysis: data, model, method, seed and size; not the versions."""
        parts = (self.model, self.specification, self.method, self.seed, self.draws, self.chains, self.settings, self.data_digest)
        return digest_of(parts)[:12]

    def card(self) -> list[tuple[str, str]]:
        """Lines of a card: data, window, method."""
        open_ = "" if self.censored is None else f", {self.censored:,} of them still open" if self.censored else ", none open"
        settings = "".join(f", {name} {value}" for name, value in self.settings)
        source = f" ({self.source})" if self.source else ""
        return [("data", f"{self.n:,} {self.counted}{open_}{source}"), ("window", self.window),
                ("method", f"{self.method}, {self.chains} x {self.draws:,} draws, seed {self.seed}{settings}")]  # fmt: skip


@cache  # reading the metadata of eight packages takes 80 ms, and they do not change while a process runs
def versions() -> tuple[tuple[str, str], ...]:
    """Versions of the interpreter and of the libraries that had a part in the numbers."""
    return (("python", platform.python_version()), *((name, metadata.version(name)) for name in LIBRARIES))


def check_request(subject: str, *, method: str, methods: Any, seed: int, draws: int, chains: int) -> None:
    """Refuse a method that the model does not have and numbers that no sampler can run; all problems at once."""
    problems = []
    if method not in get_args(methods):
        problems.append(Problem("method", f"expected one of {', '.join(get_args(methods))}, found {method!r}"))
    for name, value, least in (("seed", seed, 0), ("draws", draws, 1), ("chains", chains, 1)):
        if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
            problems.append(Problem(name, f"expected a whole number of at least {least}, found {value!r}"))
    if problems:
        raise DataError(subject, problems)
