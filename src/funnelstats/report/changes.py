"""What changed since the last report, is the change real, and where does it come from: the data, the definitions or the model?

The probability that a change is real is that of its direction, ``max(P(new > old), P(new < old))``. It is an approximation: each number
is rebuilt from the quantiles on its card, and the two are taken as independent. Reports on a growing record share most of it, which
makes their numbers move together; the true probability is then nearer to one than the one stated.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.digits import decimals
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.verdict import CLEAR
from funnelstats.report.cards import Card, Value
from funnelstats.report.shelf import cards_of

COLUMNS = ("name", "label", "old", "new", "change", "lower", "upper", "unit", "p_real", "verdict", "because", "interval")
#: Fields of a card that say what was counted, and those that say how it was computed.
DEFINITIONS = ("estimand", "population", "definition", "as_of", "unit")
READING = ("mapping", "start", "unit", "on_problem")
MODEL = (
    "model",
    "formula",
    "specification",
    "priors",
    "method",
    "seed",
    "settings",
    "interval_kind",
    "mass",
    "causal",
    "version",
)
_GRID = (np.arange(500) + 0.5) / 500


def what_changed(previous: Any, current: Any, *, interval: Interval = DEFAULT) -> pd.DataFrame:
    """Compare the cards of two reports.

    Parameters
    ----------
    previous, current : path, parsed JSON, Card, or sequence of Card
        Whatever holds cards: ``results.json``, the JSON of a report, a folder of them.
    interval : Interval
        Of the change.

    Returns
    -------
    DataFrame
        One row per number: ``old`` and ``new`` as printed, ``change`` (new less old) with its bounds, ``p_real``, a ``verdict`` ("higher",
        "lower", "no clear difference", "the same", "new", "gone", "not comparable") and ``because``: data, definitions or model, with the fields that differ. The
        approximation of ``p_real`` is that of :mod:`funnelstats.report.changes`.

    Examples
    --------
    >>> from funnelstats.data.stages import StageCounts
    >>> from funnelstats.models.rates import overall_rate
    >>> from funnelstats.report.citation import card
    >>> one, two = (StageCounts.of({"Lead": n, "Won": k}) for n, k in ((200, 20), (400, 80)))
    >>> old, new = (card(overall_rate(counts), name="won", source=counts) for counts in (one, two))
    >>> table = what_changed(old, new)
    >>> table.loc[0, ["verdict", "because"]].tolist()
    ['higher', 'data']
    """
    before, after = (_keyed(cards_of(given)) for given in (previous, current))
    rows: list[tuple[Any, ...]] = []
    for key in dict.fromkeys([*after, *before]):
        rows += _rows(before.get(key), after.get(key), interval)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({name: "Float64" for name in ("change", "lower", "upper", "p_real")})


def because(old: Card, new: Card) -> str:
    """Name what differs between two cards, in three drawers: data, definitions, model."""
    # the digest of a log covers its window too; where the files are the same ones, the data are
    same_files = old.file_sha256 and old.file_sha256 == new.file_sha256
    parts = ["data"] if old.data_sha256 != new.data_sha256 and not same_files else []
    definitions = [name for name in DEFINITIONS if _bare(old, name) != _bare(new, name)]
    definitions += [f"reading: {name}" for name in READING if old.recipe.get(name) != new.recipe.get(name)]
    then, now = (card.recipe.get("parameters", {}) for card in (old, new))
    definitions += [f"parameter: {name}" for name in sorted({*then, *now} - {"as_of", "seed"}) if then.get(name) != now.get(name)]
    model = [name for name in MODEL if getattr(old, name) != getattr(new, name)]
    parts += [f"{drawer} ({', '.join(names)})" for drawer, names in (("definitions", definitions), ("model", model)) if names]
    return "; ".join(parts) or "nothing that a card records"


# -- how -----------------------------------------------------------------------------------------------------------
def _keyed(cards: Iterable[Card]) -> dict[tuple[str, int], Card]:
    """By name, quantity and settings, or notebook; the second of the same name (another notebook's headline) by its place."""
    seen: Counter[str] = Counter()
    found = {}
    for card in cards:
        asked = [card.name, card.recipe.get("quantity", card.recipe.get("notebook", "")), card.recipe.get("settings", {})]
        key = json.dumps(asked, sort_keys=True)
        found[key, seen[key]] = card
        seen[key] += 1
    return found


def _bare(card: Card, name: str) -> Any:
    """A field without the day of the cut, which is compared by itself."""
    value = getattr(card, name)
    return value.replace(card.as_of, "") if name != "as_of" and card.as_of and isinstance(value, str) else value


def _rows(old: Card | None, new: Card | None, interval: Interval) -> Iterator[tuple[Any, ...]]:
    if old is None or new is None:
        card, verdict = (new, "new") if old is None else (old, "gone")
        assert card is not None
        said = (None, card.said) if old is None else (card.said, None)
        yield (card.name, "", *said, *[pd.NA] * 3, card.unit, pd.NA, verdict, "", "")
        return
    why = because(old, new)
    if old.reason or new.reason or old.unit != new.unit:
        yield (new.name, "", old.said, new.said, *[pd.NA] * 3, new.unit, pd.NA, "not comparable", why, "")
        return
    then, now = ({one.label: one for one in card.values} for card in (old, new))
    for label in dict.fromkeys([*now, *then]):
        if label in then and label in now:
            yield _compared(old, new, then[label], now[label], interval, why)
        else:
            said = (None, now[label].said) if label in now else (then[label].said, None)
            yield (new.name, label, *said, *[pd.NA] * 3, new.unit, pd.NA, "new" if label in now else "gone", why, "")


def _compared(old: Card, new: Card, then: Value, now: Value, interval: Interval, why: str) -> tuple[Any, ...]:
    """One number that both cards have; where one of them keeps no quantiles, only how far the point moved is known."""
    if (then.point, then.quantiles, old.probs) == (now.point, now.quantiles, new.probs):
        return new.name, now.label, then.said, now.said, *[0.0] * 3, new.unit, pd.NA, "the same", "", str(interval)
    first, second = _rebuilt(then, old.probs), _rebuilt(now, new.probs)
    if first is None or second is None:
        which = " and ".join(word for word, part in (("old", first), ("new", second)) if part is None)
        lacking = f"; how sure is not known, for the {which} card keeps no quantiles that can be read"
        change = now.point - then.point
        return (
            new.name,
            now.label,
            then.said,
            now.said,
            change,
            *[pd.NA] * 2,
            new.unit,
            pd.NA,
            "not comparable",
            why + lacking,
            "",
        )
    lower, upper, higher = difference(first, second, interval)
    real = max(higher, 1 - higher)
    verdict = ("higher" if higher > 0.5 else "lower") if real >= CLEAR else "no clear difference"
    return (
        new.name,
        now.label,
        then.said,
        now.said,
        now.point - then.point,
        lower,
        upper,
        new.unit,
        real,
        verdict,
        why,
        str(interval),
    )


def _rebuilt(value: Value, probs: tuple[float, ...]) -> np.ndarray | None:
    """Equally likely values of a number, from the quantiles that its card keeps at the probabilities it names."""
    known = len(value.quantiles) == len(probs) > 1
    return np.interp(_GRID, probs, value.quantiles) if known else None


def difference(old: np.ndarray, new: np.ndarray, interval: Interval) -> tuple[float, float, float]:
    """Bounds of new less old, and the probability that it is positive, from equally likely values taken as independent."""
    apart = (new[:, None] - old[None, :]).ravel()
    lower, upper = interval.of(apart)
    return float(lower), float(upper), float((apart > 0).mean() + 0.5 * (apart == 0).mean())


def change_words(row: Any) -> str:
    """One row of :func:`what_changed` as a sentence."""
    name = row["name"] + (f", {row['label']}" if row["label"] else "")
    if row["verdict"] in ("new", "gone", "not comparable", "the same"):
        said = " -> ".join(str(one) for one in (row["old"], row["new"]) if one is not None and not pd.isna(one))
        return f"{name}: {row['verdict']}: {said}" + (f" (because of {row['because']})" if row["because"] else "")
    places = max(decimals(float(row["lower"]), float(row["upper"])), 0)
    change, lower, upper = (f"{float(row[part]):+,.{places}f}" for part in ("change", "lower", "upper"))
    return (f"{name}: {row['old']} -> {row['new']}; change {change} ({row['interval']} {lower} to {upper}), {row['verdict']}, "
            f"P(real) = {float(row['p_real']):.2f}; because of {row['because']}")  # fmt: skip
