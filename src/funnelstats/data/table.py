"""What do the columns of one table of an export mean?"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from funnelstats.errors import Problem

Shape = Literal["events", "snapshot", "counts"]
#: Column names of the event log and of what is counted from it, which an attribute would collide with.
_TAKEN = {"entity", "stage", "at", "reached", "fate", "ended", "stay", "next", "dated", "k", "n", "age"}
_TAKEN_COUNTS = {"entered", "advanced", "lost", "open", "maturing"}
_NEEDED = {"events": ("entity", "stage", "at"), "snapshot": ("entity", "dates"), "counts": ("stage", "columns")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """How one table of an export is read.

    A column may be given as ``"first|second"`` (the first one present is taken) or with a closing ``?`` (may be absent).

    Parameters
    ----------
    shape : {"events", "snapshot", "counts"}
        One row per stage entry, one row per entity with a date per stage, or one row per segment and stage.
    entity : str
        Column with the id of a lead or deal.
    stage : str
        ``events``: column with the stage entered. ``snapshot``: column with the present stage (optional); a final or lost
        date then counts only when it agrees with it. ``counts``: column with the stage.
    at : str
        ``events``: column with the moment of entry.
    dates : dict of str to str
        ``snapshot``: stage or lost outcome -> column with the date of entry.
    names : dict of str to str
        Value in the source -> stage or lost outcome; ``""`` leaves such rows out, counted. Names that agree but for case and
        blanks need no entry.
    columns : dict of str to str
        ``owner``, ``channel``, ``region``, ``amount``, ``currency`` or any other attribute -> column. ``counts``: also
        ``entered`` and, where known, ``advanced``, ``lost``, ``open``.
    only : dict of str to str
        Column -> the one value that belongs here (a pipeline, a record type); other rows are left out, counted.
    deleted, merged : str
        Column that marks a deleted record (true) or names the record it was merged into (not empty); such records are left
        out, counted.
    link : str
        Column with the id under which the same entity goes on in another table (a converted lead's opportunity).
    file : str
        In a folder of several tables: part of this table's file name.
    date_format : str
        ``strftime`` pattern of dates kept as text, needed only where day and month could be taken for each other; or
        ``"excel"``, ``"unix"``, ``"unix_ms"`` for dates kept as numbers.
    decimal : str
        Decimal mark of numbers kept as text: ``"."`` or ``","``.
    """

    shape: Shape = "events"
    entity: str = ""
    stage: str = ""
    at: str = ""
    dates: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    only: dict[str, str] = field(default_factory=dict)
    deleted: str = ""
    merged: str = ""
    link: str = ""
    file: str = ""
    date_format: str = ""
    decimal: str = ""

    def problems(self, outcomes: Iterable[str]) -> list[Problem]:
        """List what cannot be right, given the stages and lost outcomes of the mapping."""
        known = tuple(outcomes)
        found = []
        if self.shape not in get_args(Shape):
            found.append(Problem("shape", f"expected one of {', '.join(get_args(Shape))}, found {self.shape!r}"))
        needed = _NEEDED.get(self.shape, ())
        found += [Problem(key, f"expected for shape {self.shape!r}, found nothing") for key in needed if not getattr(self, key)]
        for key, names in (("dates", self.dates), ("names", self.names.values())):
            found += [Problem(key, f"{name!r} is neither a stage nor a lost outcome", nearest(name, known))
                      for name in dict.fromkeys(names) if name not in known and not (name == "" and key == "names")]  # fmt: skip
        taken = _TAKEN | (set() if self.shape == "counts" else _TAKEN_COUNTS)
        found += [Problem(name, "this name is taken by the event log", f"call the attribute something else, such as {name}_")
                  for name in self.columns if name.casefold() in taken or name.startswith(("_", "at_", "entry_"))]  # fmt: skip
        if self.decimal not in ("", ".", ","):
            found.append(Problem("decimal", f"expected '.' or ',', found {self.decimal!r}"))
        return found


def nearest(name: str, known: Iterable[str]) -> str:
    """Name what was probably meant, or list what there is.

    Examples
    --------
    >>> nearest("stagse", ["stages", "lost"])
    "did you mean 'stages'?"
    """
    lowered = {str(one).lower(): str(one) for one in known}
    close = difflib.get_close_matches(str(name).lower(), lowered, n=1)
    if close:
        return f"did you mean {lowered[close[0]]!r}?"
    listed = [one for one in lowered.values() if not one.startswith("_source")]
    return f"known: {', '.join(listed[:12])}" + (f" and {len(listed) - 12} more" if len(listed) > 12 else "")


def within(table: Table, outcomes: Iterable[str]) -> Table:
    """Keep the dates and names that lead to one of these outcomes."""
    known = (*outcomes,)
    dates = {name: column for name, column in table.dates.items() if name in known}
    names = {value: name for value, name in table.names.items() if name in known or name == ""}
    return replace(table, dates=dates, names=names)
