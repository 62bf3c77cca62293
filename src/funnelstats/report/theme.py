"""Which colours and letters does every figure use? Ones that survive colour blindness, grey print and Chinese names.

Meaning is never carried by hue alone: dark, hatched and pale differ in lightness and in pattern.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

#: Dark blue, hatched ochre on white, pale grey: apart in lightness, and blue-orange is safe for colour blindness.
ADVANCED, OPEN, LOST = "#1f4e79", "#a85b00", "#cfd4da"
INK, FAINT = "#1a1a1a", "#5c6670"
OPEN_HATCH = "////"
#: Lightness falls steadily, so a grey print keeps the order.
HEAT = ("#f7fbff", "#c6dbef", "#6baed6", "#2171b5", "#08306b")
#: Further lines in one plot, told apart by dash and marker too.
LINES = (("#1f4e79", "-", "o"), ("#a85b00", "--", "s"), ("#5b8c5a", ":", "^"), ("#7a3b69", "-.", "D"), ("#5c6670", "-", "v"))

_LATIN = "DejaVu Sans"
_HAN = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Hiragino Sans GB", "Heiti SC",
        "Microsoft YaHei", "SimHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Noto Sans CJK JP", "Arial Unicode MS",
        "Noto Serif CJK SC", "Noto Serif CJK JP")  # fmt: skip
_HAN_FILES = ("cjk", "notosanssc", "sourcehan", "pingfang", "hiragino", "heiti", "msyh", "simhei", "wqy")


@cache
def fonts() -> tuple[str, ...]:
    """Installed families in order of use: one for Latin, then the first that has Chinese."""
    from matplotlib import font_manager

    known = set(font_manager.get_font_names())
    if known.isdisjoint(_HAN):  # matplotlib keeps a list of fonts that is older than those installed since
        listed = {entry.fname for entry in font_manager.fontManager.ttflist}
        for path in sorted(set(font_manager.findSystemFonts()) - listed):
            if any(hint in Path(path).name.lower() for hint in _HAN_FILES):
                font_manager.fontManager.addfont(path)
        known = set(font_manager.get_font_names())
    return (_LATIN, *[name for name in _HAN if name in known][:1])


@cache
def _characters(family: str) -> frozenset[int]:
    from matplotlib import font_manager

    with _any_weight():
        return frozenset(font_manager.get_font(font_manager.findfont(family)).get_charmap())


@contextmanager
def _any_weight() -> Iterator[None]:
    """Take a font in the weights that it has: Chinese ones often have no other, and matplotlib would say so for every figure."""
    log = logging.getLogger("matplotlib.font_manager")
    log.addFilter(_other_weight)
    try:
        yield
    finally:
        log.removeFilter(_other_weight)


def _other_weight(record: logging.LogRecord) -> bool:
    """Whether a message is about something else than a family's weight: the figure is drawn all the same."""
    return "Failed to find font weight" not in record.getMessage()


def unshown(text: str) -> str:
    """Return the characters that no installed font of :func:`fonts` can draw, each once, in order."""
    left = dict.fromkeys(letter for letter in text if letter.isprintable())
    for family in fonts():
        left = {letter: None for letter in left if ord(letter) not in _characters(family)}
    return "".join(left)


@contextmanager
def styled() -> Iterator[None]:
    """Draw with this package's settings; the caller's own settings of matplotlib are left as they were."""
    from matplotlib import rc_context

    settings: Any = {
        "font.family": list(fonts()), "font.size": 11, "axes.titlesize": 12, "axes.titlelocation": "left", "text.color": INK,
        "axes.labelcolor": INK, "xtick.color": FAINT, "ytick.color": INK, "axes.edgecolor": FAINT, "axes.spines.top": False,
        "axes.spines.right": False, "axes.titleweight": "bold", "hatch.linewidth": 1.2, "text.parse_math": False,
        "axes.unicode_minus": True, "figure.facecolor": "white", "savefig.facecolor": "white", "svg.hashsalt": "funnelstats",
    }  # fmt: skip
    with rc_context(settings), _any_weight():
        yield
