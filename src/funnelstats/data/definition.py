"""What counts as entering a stage: the choices that can move a headline, as one value that is printed with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from funnelstats.errors import DataError, Problem

Order = Literal["furthest", "ordered", "strict", "any"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The rule by which an entity counts at a stage.

    Parameters
    ----------
    order : {"furthest", "ordered", "strict", "any"}
        ``furthest``: whoever reached a stage passed all before it, recorded or skipped. ``ordered``: each required stage
        entered, in this order, other entries in between allowed. ``strict``: in this order and nothing in between.
        ``any``: all required stages entered, in whatever order.
    window : float, optional
        Time from the first stage within which a later stage must be entered, in the log's unit. Entities younger than
        the window are left out altogether, converted or not, and counted in the note.
    per_step_window : float, optional
        The same from each stage to the next.
    optional : tuple of str
        Stages that may be skipped; they are left out of the chain of required stages.
    exclude : tuple of str
        Entities that ever entered one of these stages or outcomes are left out, and counted in the note.
    """

    order: Order = "furthest"
    window: float | None = None
    per_step_window: float | None = None
    optional: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = []
        if self.order not in get_args(Order):
            problems.append(Problem("order", f"expected one of {', '.join(get_args(Order))}, found {self.order!r}"))
        for name in ("window", "per_step_window"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                problems.append(Problem(name, f"expected a positive length of time, found {value!r}"))
        if problems:
            raise DataError("the funnel definition", problems)

    def check(self, stages: Sequence[str], outcomes: Sequence[str]) -> None:
        """Refuse names that the log does not know, and an optional first or last stage."""
        problems = [Problem("optional", f"expected one of {list(stages[1:-1])}, found {name!r}")
                    for name in self.optional if name not in stages[1:-1]]  # fmt: skip
        problems += [Problem("exclude", f"expected one of {[*stages, *outcomes]}, found {name!r}")
                     for name in self.exclude if name not in (*stages, *outcomes)]  # fmt: skip
        if problems:
            raise DataError("the funnel definition", problems)

    def __str__(self) -> str:
        parts = [f"order {self.order}"]
        parts += [
            f"{name} {value:g}" for name, value in [("window", self.window), ("per-step window", self.per_step_window)] if value
        ]
        parts += [
            f"{name} {', '.join(names)}" for name, names in [("optional", self.optional), ("without", self.exclude)] if names
        ]
        return "; ".join(parts)
