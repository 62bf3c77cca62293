"""How does a result become a sentence, and leave the notebook as a number that can be cited?

Sentences are computed: an :class:`Estimate` in an f-string brings its interval and its digits, a comparison its words, so the
text changes when the data do.
"""

import sys
from typing import Any

from funnelstats.digits import decimals
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate, NotIdentified
from funnelstats.report.cards import Card
from funnelstats.report.citation import card

#: MIME type of a published result; the notebook runner collects these into results.json.
RESULT_TYPE = "application/vnd.funnelstats.result+json"


def say(text: str) -> None:
    """Show a sentence: as Markdown in a notebook, as plain text elsewhere.

    Parameters
    ----------
    text : str
        Usually an f-string with estimates in it.

    Examples
    --------
    >>> say("Every number was computed.")
    Every number was computed.
    """
    _show({"text/markdown": text, "text/plain": text}, text)


def publish(name: str, value: Estimate | NotIdentified, *, sentence: str, source: Any = None) -> None:
    """Show a sentence and hand its number on, so that a run of notebooks leaves a machine-readable result.

    Parameters
    ----------
    name : str
        What to find it by, such as ``"headline"``.
    value : Estimate or NotIdentified
        One number; pick it with ``.sel()`` where there are several.
    sentence : str
        How it is said.
    source : Card, EventLog, StageCounts, Fit, or a sequence of them, optional
        What the number rests on. The result then carries a card, to be cited with ``funnelstats cite``; the card of a
        :func:`~funnelstats.report.quantities.quantity` can be verified, too.

    Examples
    --------
    >>> rate = Estimate.of([0.02, 0.03, 0.04], description="leads won")
    >>> publish("headline", rate, sentence=f"{rate} of leads are won.")
    3.0% (90% interval 2.1% to 3.9%) of leads are won.
    """
    if not name:
        raise DataError("a published result", [Problem("name", "expected a name to find it by, found nothing")])
    result = {"name": name, "description": value.description, "sentence": sentence} | _numbers(value)
    if source is not None:
        result["card"] = (source if isinstance(source, Card) else card(value, name=name, source=source)).to_dict()
    _show({"text/markdown": sentence, "text/plain": sentence, RESULT_TYPE: result}, sentence)


def percent(point: float, lower: float, upper: float) -> str:
    """Write a share and its bounds to the digits worth printing, short enough for a figure or a table.

    Examples
    --------
    >>> percent(0.0398, 0.0350, 0.0452), percent(0.543, 0.530, 0.556), percent(0.375, 0.15, 0.66)
    ('4.0% (3.5 to 4.5)', '54.3% (53.0 to 55.6)', '38% (15 to 66)')
    """
    if lower == upper == point:
        return f"{100 * point:g}%"
    places = max(decimals(100 * lower, 100 * upper), 0)
    return f"{100 * point:.{places}f}% ({100 * lower:.{places}f} to {100 * upper:.{places}f})"


def _numbers(value: Estimate | NotIdentified) -> dict[str, Any]:
    if isinstance(value, NotIdentified):
        return {"point": None, "lower": None, "upper": None, "interval": None, "unit": None, "reason": value.reason}
    format(value)  # refuses an estimate of several numbers, with the remedy
    return {"point": value.point, "lower": value.lower, "upper": value.upper, "interval": str(value.shown), "unit": value.unit}


def _show(bundle: dict[str, Any], plain: str) -> None:
    """Display in a notebook; a terminal, even IPython's, gets the plain text."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:
        print(plain)
    else:
        from IPython.display import display

        display(bundle, raw=True)
