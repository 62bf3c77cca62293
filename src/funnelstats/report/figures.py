"""How does a figure reach every reader? As a picture that carries its description in words wherever it is shown.

A :class:`Chart` is a matplotlib figure with its alternative text. It is displayed by its own MIME bundle, without pyplot: no
figure is kept alive, no global setting is touched, and notebooks converted to HTML get ``<img alt="...">`` from the metadata.
"""

import re
import unicodedata
import warnings
from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from funnelstats.errors import DataError, FunnelStatsWarning, Problem
from funnelstats.report.theme import FAINT, styled, unshown

#: Widest figure in inches at 96 pixels per inch: fits a notebook's column and is still legible at 400 pixels.
WIDTH = 6.6
_PER_INCH, _DENSITY = 96, 2


@dataclass(frozen=True, eq=False, slots=True)
class Chart:
    """A figure and what it shows in words.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn inside :func:`~funnelstats.report.theme.styled`.
    alt : str
        Alternative text with the numbers that matter, for those who cannot see the picture.

    Examples
    --------
    >>> with styled():
    ...     figure = new_figure(height=2)
    ...     _ = figure.add_subplot().plot([1, 2])
    >>> data, metadata = Chart(figure, "a line that rises")._repr_mimebundle_()
    >>> metadata["image/png"]["alt"], data["text/plain"]
    ('a line that rises', 'a line that rises')
    """

    figure: Any
    alt: str

    def __post_init__(self) -> None:
        from matplotlib.text import Text

        if not self.alt.strip():
            raise DataError("a chart", [Problem("alt", "expected what the figure shows in words, found nothing")])
        missing = unshown("".join(text.get_text() for text in self.figure.findobj(Text)))
        if missing:
            remedy = "install one, such as Noto Sans CJK SC, or read the table twin"
            warnings.warn(f"no installed font can draw {missing[:20]}: {remedy}", FunnelStatsWarning, stacklevel=4)

    @property
    def axes(self) -> list[Any]:
        """The axes of the figure, to add to them."""
        return list(self.figure.axes)

    @property
    def width(self) -> int:
        """Width in pixels at which it is meant to be seen."""
        return round(self.figure.get_figwidth() * _PER_INCH)

    def to_bytes(self, kind: str = "png") -> bytes:
        """The picture as the content of a file (png, svg, pdf); the same chart is the same bytes."""
        return self._render(kind)

    def save(self, path: str | Path) -> Path:
        """Write to a file; its ending says the format (png, svg, pdf)."""
        path = Path(path)
        path.write_bytes(self._render(path.suffix.lstrip(".") or "png"))
        return path

    def _render(self, kind: str) -> bytes:
        buffer = BytesIO()
        # without versions and dates the same chart is the same bytes
        stamp = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        with styled(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"Glyph .* missing from")  # said once, in __post_init__
            self.figure.savefig(buffer, format=kind, dpi=_PER_INCH * _DENSITY, metadata=stamp)
        return buffer.getvalue()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        picture = b64encode(self._render("png")).decode("ascii")
        return {"image/png": picture, "text/plain": self.alt}, {"image/png": {"alt": self.alt, "width": self.width}}

    def __repr__(self) -> str:
        return f"<Chart: {self.alt}>"


def new_figure(*, height: float, width: float = WIDTH) -> Any:
    """Make an empty figure, sizes in inches, that belongs to nobody but its chart."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def caption(figure: Any, text: str) -> None:
    """Write the small print under a figure: what the marks mean, the rule of the intervals, the date."""
    figure.supxlabel(wrapped(text, 96), fontsize=9, x=0.01, ha="left", color=FAINT)


def wrapped(text: str, width: int) -> str:
    r"""Break text into lines of ``width`` Latin letters; a Chinese letter takes two and may stand at any line's end.

    Examples
    --------
    >>> wrapped("Marketing qualified", 12), wrapped("市场合格 (MQL)", 8)
    ('Marketing\nqualified', '市场合格\n(MQL)')
    """
    lines, used = [""], 0
    for word in re.findall(r"[\u2e80-\uffef]|[^\s\u2e80-\uffef]+|\s+", text):
        size = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in word)
        if used and used + size > width:
            lines, used = [*lines, ""], 0
        if used or not word.isspace():
            lines[-1], used = lines[-1] + word, used + size
    return "\n".join(line.rstrip() for line in lines)
