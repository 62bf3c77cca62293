"""What comes back when a quantity is asked of a log: the estimate, what it rests on, and what a card should say of it."""

from dataclasses import dataclass, field
from typing import Any

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate, NotIdentified


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Answer:
    """An estimate and what stands behind it.

    Attributes
    ----------
    estimate : Estimate or NotIdentified
    behind : tuple
        Counts or fits that it was computed from.
    stated : dict of str to str
        Fields of the card in words.
    picked : str
        The stage or the member that the answer is about, where the data chose it.
    """

    estimate: Estimate | NotIdentified
    behind: tuple[Any, ...] = ()
    stated: dict[str, Any] = field(default_factory=dict)
    picked: str = ""


def plural(estimate: Estimate) -> str:
    """An estimate as text, its unit in the plural where it is a word for something counted.

    Examples
    --------
    >>> plural(Estimate.of([2.0, 3.0, 4.0], unit="day", description="time"))
    '3.0 days (90% interval 2.1 to 3.9)'
    """
    unit = estimate.unit
    word = unit.isalpha() and unit.islower() and unit != "money"
    return f"{estimate}".replace(f" {unit} (", f" {unit}s (", 1) if word else f"{estimate}"


def counted(log: Any, segment: dict[str, str] | None) -> StageCounts:
    """Counts of a log, or of one segment of it."""
    counts: StageCounts = log.stages(tuple(segment or ()))
    return counts.select(**segment) if segment else counts


def known_stage(log: Any, stage: str | None, *, last: bool = False) -> str:
    """A stage by its name, the first (or the last) where none is given; DataError with the names there are."""
    names = log.stages().stages
    allowed = names[1:] if last else names[:-1]
    if stage is None:
        return str(allowed[-1] if last else allowed[0])
    if stage not in allowed:
        raise DataError("the quantity", [Problem("stage", f"expected one of {list(allowed)}, found {stage!r}")])
    return stage


def known_group(log: Any, group: str | None) -> str:
    """A column whose members are compared: ``owner`` where there is one, else the first."""
    names = tuple(getattr(log, "attributes", ()) or getattr(getattr(log, "counts", None), "by", ()))
    if not names:
        raise DataError(
            "the quantity", [Problem("group", "expected a column of consultants or channels, found none in the data")]
        )
    if group is None:
        return "owner" if "owner" in names else str(names[0])
    if group not in names:
        raise DataError("the quantity", [Problem("group", f"expected one of {list(names)}, found {group!r}")])
    return group


def with_amounts(log: Any) -> None:
    """Refuse data that hold no amounts of deals."""
    if "amount" not in getattr(getattr(log, "events", None), "columns", ()):
        fix = 'name the column in the mapping: columns = {amount = "..."}'
        raise DataError("the quantity", [Problem("amount", "expected amounts of deals, found none in the data", fix)])
