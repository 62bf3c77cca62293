"""With which words was this export read, so that the same can be done again? Source, mapping and window as plain values."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from funnelstats.data.mapping import Mapping
from funnelstats.data.table import Table
from funnelstats.window import ObservationWindow

#: Fields that say what was done after reading.
_AFTER = ("pseudonyms", "counts_by", "smallest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The arguments of ``read_crm``, in plain values.

    Parameters
    ----------
    source : str
        Path, glob or ``"bundled:NAME"``; empty for tables that were in memory.
    mapping : str, dict or None
        A preset's name, or the content of a mapping; None where a bundled data set brings its own.
    as_of, start : str or None
        ISO dates, or moments.
    unit, on_problem : str
        As for ``read_crm``.
    pseudonyms : tuple of str
        Empty where names stand as read; else "content" or "key", after what the pseudonyms were made with, and columns kept besides.
    counts_by : tuple of str or None
        Columns by which counts were kept in place of records, groups of fewer than ``smallest`` merged; None where records are.

    Examples
    --------
    >>> spec = {"stages": ["Lead", "Won"], "entity": "id", "stage": "step", "at": "on"}
    >>> reading = Reading.of("deals.csv", mapping=Mapping.of(spec), window=ObservationWindow.of("2026-06-30"))
    >>> reading.as_of, Mapping.of(reading.mapping).stages
    ('2026-06-30', ('Lead', 'Won'))
    """

    source: str = ""
    mapping: str | dict[str, Any] | None = None
    as_of: str | None = None
    start: str | None = None
    unit: str = "day"
    on_problem: str = "raise"
    pseudonyms: tuple[str, ...] = ()
    counts_by: tuple[str, ...] | None = None
    smallest: int = 1

    @classmethod
    def of(
        cls, source: Any, *, mapping: Any, window: ObservationWindow | None, on_problem: str = "raise", own_mapping: bool = False
    ) -> Self:
        """Keep what was said; a mapping file is kept by its content, because the file may change."""
        named = str(source) if isinstance(source, str | Path) else ""
        dates: dict[str, Any] = (
            {} if window is None else {"as_of": _iso(window.as_of), "start": _iso(window.start), "unit": window.unit}
        )
        return cls(source=named, mapping=None if own_mapping else _plain(mapping), on_problem=on_problem, **dates)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for ``read_crm``, all but the source."""
        return {name: value for name, value in asdict(self).items() if name not in ("source", *_AFTER)}

    def afterwards(self) -> dict[str, Any]:
        """What was done with the data once they were read, for a recipe."""
        counts = {} if self.counts_by is None else {"counts": {"by": list(self.counts_by), "smallest": self.smallest}}
        return {"pseudonyms": list(self.pseudonyms)} | counts


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersReading:
    """The arguments of ``Transactions.of``, in plain values; ``source`` is empty for tables that were in memory."""

    source: str = ""
    customer: str = ""
    at: str = ""
    amount: str = ""
    currency: str = ""
    date_format: str = ""
    decimal: str = ""

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for ``Transactions.of``, all but the source."""
        return {name: value for name, value in asdict(self).items() if name != "source"}

    def afterwards(self) -> dict[str, Any]:
        """Nothing is done with an order book once it is read."""
        return {}


def _iso(moment: Any) -> str | None:
    if moment is None:
        return None
    return str(moment.date()) if moment == moment.normalize() else moment.isoformat()


def _plain(mapping: Any) -> Any:
    """A mapping as a preset's name or as the dict that ``Mapping.of`` takes."""
    if isinstance(mapping, Mapping):
        own = {field.name: getattr(mapping, field.name) for field in fields(mapping) if field.name not in ("tables", "name")}
        default = Table()
        tables = [{field.name: getattr(table, field.name) for field in fields(table)
                   if getattr(table, field.name) != getattr(default, field.name)} for table in mapping.tables]  # fmt: skip
        return _lists({**{name: value for name, value in own.items() if value}, "table": tables})
    if isinstance(mapping, str | Path) and (str(mapping).lower().endswith(".toml") or Path(mapping).is_file()):
        return Mapping.parse_toml(mapping)
    return _lists(mapping) if isinstance(mapping, dict) else None if mapping is None else str(mapping)


def _lists(value: Any) -> Any:
    """Tuples as lists, as JSON has it, and copies of all that could be changed from outside."""
    if isinstance(value, dict):
        return {key: _lists(one) for key, one in value.items()}
    return [_lists(one) for one in value] if isinstance(value, list | tuple) else value
