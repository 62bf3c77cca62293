"""Show a table as it is: as many digits as a reader needs, a dash where there is no number, the same bytes every time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pandas as pd


@dataclass(frozen=True, eq=False, slots=True)
class Plain:
    """A table for reading; the numbers behind it stay in ``frame``.

    Parameters
    ----------
    frame : DataFrame
        What is shown. An index that only counts rows is left out.
    digits : int
        Decimals of floating-point columns.
    """

    frame: pd.DataFrame
    digits: int = 3

    def _text(self) -> pd.DataFrame:
        return self.frame.apply(lambda column: column.map(lambda value: cell(value, self.digits)))

    @property
    def _index(self) -> bool:
        return not isinstance(self.frame.index, pd.RangeIndex) and self.frame.index.dtype.kind not in "iu"

    def __repr__(self) -> str:
        return self._text().to_string(index=self._index)

    def _repr_html_(self) -> str:
        text = self._text()
        words = [place for place, name in enumerate(text) if _is_words(text[name])]
        rules: list[Any] = [{"selector": f".col{place}", "props": "text-align: left"} for place in words]
        styler = text.style.set_table_styles(rules).set_table_attributes('class="dataframe"')
        styler = styler if self._index else styler.hide(axis="index")
        name = sha256(repr(self).encode()).hexdigest()[:8]  # the same table is the same bytes
        return str(styler.format(escape="html").to_html(table_uuid=name, cell_ids=False))


def table(frame: pd.DataFrame, *, digits: int = 3, bounds: Mapping[str, tuple[str, str]] | Sequence[str] | None = None) -> Plain:
    """Show a frame as a table.

    Parameters
    ----------
    frame : DataFrame
        Left as it is.
    digits : int
        Decimals of floating-point columns.
    bounds : mapping of str to (str, str), or sequence of str
        Column -> columns of its lower and upper bound, which are then written behind it in one cell; a name alone stands for
        ``name_lower`` and ``name_upper``. A column ``interval`` that says the same in every row moves into the header.

    Examples
    --------
    >>> kind = "90% Wilson interval"
    >>> frame = pd.DataFrame({"stage": ["Lead"], "rate": [0.543], "low": [0.530], "high": [0.556], "interval": [kind]})
    >>> print(table(frame, bounds={"rate": ("low", "high")}))
    stage rate (90% Wilson interval)
     Lead     0.543 (0.530 to 0.556)
    >>> frame = pd.DataFrame({"score": ["old"], "slope": [1.02], "slope_lower": [0.9], "slope_upper": [1.14]})
    >>> print(table(frame, bounds=["slope"], digits=2))
    score               slope
      old 1.02 (0.90 to 1.14)
    """
    shown = frame.copy()
    pairs = bounds if isinstance(bounds, Mapping) else {name: (f"{name}_lower", f"{name}_upper") for name in bounds or ()}
    kinds = list(dict.fromkeys(frame["interval"].dropna())) if pairs and "interval" in frame else []
    for name, (low, high) in pairs.items():
        parts = zip(frame[name], frame[low], frame[high], strict=True)
        shown[name] = ["–" if pd.isna(point) else f"{cell(point, digits)} ({cell(below, digits)} to {cell(above, digits)})"
                       for point, below, above in parts]  # fmt: skip
        shown = shown.drop(columns=[low, high])
    if len(kinds) == 1:
        shown = shown.drop(columns="interval").rename(columns={name: f"{name} ({kinds[0]})" for name in pairs})
    return Plain(shown, digits)


def _is_words(column: pd.Series) -> bool:
    """Whether a column holds words rather than numbers, which are read from the right."""
    said = column[column != "–"]
    return bool(len(said)) and not said.str.match(r"[-+−]?\d").any()


def cell(value: Any, digits: int) -> str:
    """Write one value: a dash for a missing one, thousands apart, ``digits`` decimals for a fraction."""
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:,.{digits}f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
