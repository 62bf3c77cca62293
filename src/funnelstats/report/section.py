"""What is a section of a report? A title, computed sentences, figures with table twins and cards: a value that every format can show.

A table keeps its numbers beside the words in which it is read, so that a page and a spreadsheet cannot disagree. Counts below a
smallest number of people are not shown, nor what they could be computed from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from funnelstats.report.cards import Card
from funnelstats.report.figures import Chart
from funnelstats.report.plain import cell
from funnelstats.report.suppress import small_cells

Kind = Literal["text", "count", "percent", "number"]
#: Keeps the bounds of an interval on one line.
_TIED = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How a column is headed and written.

    Attributes
    ----------
    head : str
    kind : {"text", "count", "percent", "number"}
        A count is of people or deals, and hidden where it is small.
    digits : int
        Decimals.
    bounds : (str, str), optional
        Columns of the lower and upper bound, written behind it in one cell.
    of : tuple of str
        Counts that it could be computed back to; it is hidden where one of them is.
    """

    head: str
    kind: Kind = "text"
    digits: int = 1
    bounds: tuple[str, str] | None = None
    of: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Grid:
    """A table to read, with its numbers.

    Attributes
    ----------
    title, note : str
    frame : DataFrame
        Numbers as computed, missing where hidden.
    columns : mapping of str to Column
        What is shown, in order.
    hidden, small : frozenset of (int, str)
        Row and column of the cells that are not shown, and of those among them that are small counts.
    smallest : int
        The least count that is shown.
    """

    title: str
    frame: pd.DataFrame
    columns: Mapping[str, Column]
    note: str = ""
    hidden: frozenset[tuple[int, str]] = frozenset()
    small: frozenset[tuple[int, str]] = frozenset()
    smallest: int = 1

    @classmethod
    def of(
        cls, title: str, frame: pd.DataFrame, columns: Mapping[str, Column], *, smallest: int = 1, note: str = ""
    ) -> Self:  # fmt: skip
        """Build a table and hide its small counts.

        Parameters
        ----------
        title, frame, columns, note
            As for the class.
        smallest : int
            The least count that is shown; 0 always is. The sums over rows count as known, as members add up to the team.

        Examples
        --------
        >>> frame = pd.DataFrame({"who": ["A", "B", "C"], "n": [40, 3, 12]})
        >>> grid = Grid.of("Wins", frame, {"who": Column(head="Who"), "n": Column(head="Wins", kind="count")}, smallest=10)
        >>> grid.rows()
        [['A', '40'], ['B', 'under 10'], ['C', 'not shown']]
        """
        frame = frame.reset_index(drop=True)[
            [*dict.fromkeys(part for name, one in columns.items() for part in (name, *(one.bounds or ())))]
        ]
        small, hidden = _hidden(frame, columns, smallest)
        shown = frame.astype({name: "object" for _, name in hidden})
        for row, name in hidden:
            shown.loc[row, [name, *(columns[name].bounds or ())]] = None
        return cls(title=title, frame=shown, columns=dict(columns), note=note, hidden=hidden, small=small, smallest=smallest)

    def heads(self) -> list[str]:
        """Headings."""
        return [column.head for column in self.columns.values()]

    def rows(self) -> list[list[str]]:
        """Every cell as it is read."""
        records = self.frame.to_dict("records")
        return [
            [self._cell(place, name, column, row) for name, column in self.columns.items()] for place, row in enumerate(records)
        ]

    def _cell(self, place: int, name: str, column: Column, row: Mapping[Any, Any]) -> str:
        if (place, name) in self.hidden:
            return f"under {self.smallest}" if (place, name) in self.small else "not shown"
        written = _written(row[name], column)
        if column.bounds and written != "–" and row[column.bounds[0]] != row[column.bounds[1]]:
            low, high = (_written(row[bound], column).removesuffix("%") for bound in column.bounds)
            return f"{written} ({low}{_TIED}to{_TIED}{high})"
        return written

    def values(self) -> tuple[list[str], list[list[Any]]]:
        """Headings and plain numbers, a bound in a column of its own; None where there is none, or it is hidden."""
        names = list(self.frame.columns)
        bound = {part: f"{column.head}, {word}" for column in self.columns.values()
                 for part, word in zip(column.bounds or (), ("lower bound", "upper bound"), strict=False)}  # fmt: skip
        heads = [self.columns[name].head if name in self.columns else bound[name] for name in names]
        return heads, [[_plain(value) for value in row] for row in self.frame.itertuples(index=False)]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Picture:
    """A figure, with its alternative text, beside the table that says the same."""

    title: str
    chart: Chart
    twin: Grid

    @property
    def alt(self) -> str:
        """The figure in words."""
        return self.chart.alt


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A computed sentence and the id of the card of its number, where it has one."""

    text: str
    card: str = ""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Section:
    """One part of a report.

    Attributes
    ----------
    key, title : str
    sentences : tuple of Sentence
        The first is the headline.
    pictures, grids, cards : tuple
    references : tuple of str
        Keys of :data:`~funnelstats.report.references.REFERENCES`.
    missing : str
        Why there is nothing to say, where there is not.
    headline : bool
        Whether its first sentence belongs on top of the report.
    """

    key: str
    title: str
    sentences: tuple[Sentence, ...] = ()
    pictures: tuple[Picture, ...] = ()
    grids: tuple[Grid, ...] = ()
    cards: tuple[Card, ...] = ()
    references: tuple[str, ...] = ()
    missing: str = ""
    headline: bool = True

    @property
    def tables(self) -> tuple[Grid, ...]:
        """All tables, those beside figures first."""
        return (*(picture.twin for picture in self.pictures), *self.grids)


def _hidden(
    frame: pd.DataFrame, columns: Mapping[str, Column], smallest: int
) -> tuple[frozenset[tuple[int, str]], frozenset[tuple[int, str]]]:
    """Small counts; and these with the counts that give one away and what is computed from any of them."""
    counts = [name for name, column in columns.items() if column.kind == "count"]
    if not counts or frame.empty:
        return frozenset(), frozenset()
    small, hidden = (
        {(row, counts[place]) for row, place in np.argwhere(mask).tolist()} for mask in small_cells(frame, counts, k=smallest)
    )
    rates = {
        (row, name)
        for name, column in columns.items()
        for row in range(len(frame))
        if any((row, one) in hidden for one in column.of)
    }
    return frozenset(small), frozenset(hidden | rates)


def _written(value: Any, column: Column) -> str:
    if np.ndim(value) == 0 and pd.isna(value):
        return "–"
    if column.kind == "percent":
        return f"{100 * float(value):.{column.digits}f}%"
    if column.kind == "number":
        return f"{float(value):,.{column.digits}f}"
    return f"{int(value):,}" if column.kind == "count" else cell(value, column.digits)


def rounded(value: Any) -> Any:
    """Twelve digits of every number in it: an engine adds up in no fixed order, so that the last ones may change from run to run."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    value = value.item() if hasattr(value, "item") else value
    return rounded(value) if isinstance(value, float) else value if isinstance(value, int | str) else str(value)
