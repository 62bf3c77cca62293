"""Which column of an export means what, and which stages there are, in which order.

A :class:`Mapping` is a value: write it in Python, take a preset (``"salesforce"``, ``"hubspot"``), or keep it in a TOML file
beside the export, so that the same notebook reads next quarter's file.
"""

import difflib
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

from funnelstats.errors import DataError, Problem

Shape = Literal["events", "snapshot", "counts"]
#: Attributes with a meaning of their own; any other name in ``columns`` is a further attribute to group by.
KNOWN_COLUMNS = ("owner", "channel", "region", "amount", "currency")


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
        Value in the source -> stage or lost outcome. Names that agree already need no entry.
    columns : dict of str to str
        ``owner``, ``channel``, ``region``, ``amount``, ``currency`` or any other attribute -> column.
    deleted, merged : str
        Column that marks a deleted record (true) or names the record it was merged into (not empty); such rows are left out
        and counted by the audit.
    link : str
        Column with the id under which the same entity goes on in another table (a converted lead's opportunity).
    file : str
        In a folder of several tables: part of this table's file name.
    date_format : str
        ``strftime`` pattern of dates kept as text; needed only where day and month could be taken for each other.
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
    deleted: str = ""
    merged: str = ""
    link: str = ""
    file: str = ""
    date_format: str = ""
    decimal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Stages in order, lost outcomes, currency, and the table or tables that hold them.

    Parameters
    ----------
    stages : tuple of str
        Funnel order, the last one being success.
    tables : tuple of Table
        Usually one.
    lost : tuple of str
        Outcomes that end an entity without success.
    optional : tuple of str
        Stages that may be skipped.
    currency : str
        ISO code of ``amount`` where no column tells it.
    name : str
        Where the mapping comes from, for messages.

    Examples
    --------
    >>> mapping = Mapping.of({"stages": ["Lead", "Won"], "entity": "id", "stage": "stage", "at": "date"})
    >>> mapping.stages, mapping.tables[0].shape
    (('Lead', 'Won'), 'events')
    """

    stages: tuple[str, ...]
    tables: tuple[Table, ...]
    lost: tuple[str, ...] = ("Lost",)
    optional: tuple[str, ...] = ()
    currency: str = ""
    name: str = "mapping"

    def __post_init__(self) -> None:
        problems = []
        if len(self.stages) < 2:
            problems.append(Problem("stages", f"expected at least two in funnel order, found {list(self.stages)}"))
        twice = sorted({name for name in (*self.stages, *self.lost) if [*self.stages, *self.lost].count(name) > 1})
        if twice:
            problems.append(Problem("stages", f"expected each name once among stages and lost, found {twice} again"))
        for name in self.optional:
            if name not in self.stages[1:-1]:
                problems.append(Problem("optional", f"expected one of {list(self.stages[1:-1])}, found {name!r}"))
        for table in self.tables:
            problems += _table_problems(table, {*self.stages, *self.lost})
        if problems:
            raise DataError(self.name, problems)

    @classmethod
    def of(cls, spec: dict[str, Any], *, name: str = "mapping") -> Self:
        """Parse the content of a TOML file: keys of the mapping, and of its table or of each ``[[table]]``."""
        own = {f.name for f in fields(cls)} - {"tables", "name"}
        of_table = {f.name for f in fields(Table)}
        parts = spec.get("table", [{key: value for key, value in spec.items() if key not in own}])
        stray = [key for key in spec if key not in own | of_table | {"table"}]
        stray += [key for part in parts for key in part if key not in of_table and key not in stray]
        problems = [Problem(key, "not a key of a mapping", _meant(key, own | of_table)) for key in stray]
        if "stages" not in spec:
            problems.append(Problem("stages", "expected the stages in funnel order, found nothing", 'stages = ["Lead", "Won"]'))
        if problems:
            raise DataError(name, problems)
        values = {key: tuple(spec[key]) if isinstance(spec[key], list) else spec[key] for key in own if key in spec}
        return cls(**values, tables=tuple(Table(**part) for part in parts), name=name)

    @staticmethod
    def parse_toml(path: str | Path) -> dict[str, Any]:
        """Read a mapping file as the dict that :meth:`of` takes."""
        try:
            return tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(str(path), [Problem("mapping", "no such file", 'give a TOML file, "salesforce" or "hubspot"')]) from error
        except tomllib.TOMLDecodeError as error:
            raise DataError(str(path), [Problem("mapping", f"not valid TOML: {error}")]) from error


def _meant(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name.lower(), {one.lower() for one in known}, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


def _table_problems(table: Table, outcomes: set[str]) -> list[Problem]:
    problems = []
    if table.shape not in get_args(Shape):
        problems.append(Problem("shape", f"expected one of {', '.join(get_args(Shape))}, found {table.shape!r}"))
    needed = {"events": ("entity", "stage", "at"), "snapshot": ("entity", "dates"), "counts": ("stage",)}.get(table.shape, ())
    problems += [Problem(key, f"expected for shape {table.shape!r}, found nothing") for key in needed if not getattr(table, key)]
    for key, names in (("dates", table.dates), ("names", table.names.values())):
        problems += [Problem(key, f"{name!r} is neither a stage nor a lost outcome", _meant(name, outcomes))
                     for name in dict.fromkeys(names) if name not in outcomes]  # fmt: skip
    if table.decimal not in ("", ".", ","):
        problems.append(Problem("decimal", f"expected '.' or ',', found {table.decimal!r}"))
    return problems
