"""Does a cited number come out again? The data are read and the number computed anew, and what differs is named.

Changed data, a changed version and a changed number are three different things, and each is said by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from funnelstats.data.crm import read_crm
from funnelstats.data.reading import OrdersReading
from funnelstats.data.transactions import Transactions
from funnelstats.errors import DataError, Problem
from funnelstats.report.cards import Card
from funnelstats.report.privacy import KEY_VARIABLE, counts_only, pseudonymise
from funnelstats.report.quantities import QUANTITIES, of_orders, quantity

#: Computes the card of a notebook again: card, data, near -> card.
Rerun = Callable[[Card, Any, tuple[str, ...]], Card]
#: Relative difference up to which two machines' arithmetic may differ.
SAME = 1e-9
#: Of a sampled number the point may move by this share of its standard deviation, a bound by twice as much.
SAMPLED = 0.05


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Verification:
    """What came out.

    Attributes
    ----------
    reproduces : bool
    said : tuple of str
        What was compared and what was found, one sentence each.
    card : Card
        As cited.
    again : Card or None
        As computed now; None where it could not be.
    """

    reproduces: bool
    said: tuple[str, ...]
    card: Card
    again: Card | None = None

    def __str__(self) -> str:
        head = "reproduces" if self.reproduces else "DOES NOT REPRODUCE"
        return "\n".join([f"{self.card.id} {head}", *(f"  {one}" for one in self.said)])

    __repr__ = __str__


def verify(
    card: Card, *, data: Any = None, near: tuple[str, ...] = (), key: str | bytes | None = None, rerun: Rerun | None = None
) -> Verification:  # fmt: skip
    """Compute a cited number again and compare.

    Parameters
    ----------
    card : Card
        With a recipe.
    data : path, DataFrame, Ibis table, EventLog or "bundled:NAME", optional
        Where the data are now; looked for under the name on the card where not given.
    near : tuple of str
        Paths and folders in which a file of that name may lie.
    key : str or bytes, optional
        Of pseudonyms that were made with a key of your own.
    rerun : callable, optional
        Called with the card, ``data`` and ``near``, gives the card of the same result of the same notebook, run again. The command
        ``funnelstats verify`` has one; without it such a card is not computed again, and it is said how it can be.

    Returns
    -------
    Verification

    Examples
    --------
    >>> cited = quantity(read_crm("bundled:crm_second"), "overall_rate", seed=1).card
    >>> print(verify(cited))  # doctest: +ELLIPSIS
    fs-... reproduces
      data: the same, SHA-256 fd2c545bebca...
      number: the same, 3.2% (90% Wilson interval 2.6% to 3.8%)
    """
    recipe = card.recipe
    if not recipe.get("quantity") and (rerun is None or not recipe.get("notebook")):
        return Verification(reproduces=False, said=(_no_recipe(card),), card=card)
    try:
        if recipe.get("quantity"):
            log = _read(card, data, near, key)
            again = quantity(
                log, recipe["quantity"], seed=int(recipe["seed"]), label=card.name, **recipe.get("settings", {})
            ).card
        elif rerun:
            again = rerun(card, data, near)
    except DataError as error:
        return Verification(reproduces=False, said=(f"it could not be computed again: {error}",), card=card)
    again = _as_stated(again, card)
    data_same, said = _data(card, again)
    number_same, words = _number(card, again)
    said += _specification(card, again) if data_same and card.id != again.id else []
    if again.recipe.get("cells") != recipe.get("cells"):
        said.append("notebook: its code has changed since the card was made")
    if not data_same:
        words = f"{words}; of the data as they are now it is another card, {again.id}"
    if card.version != again.version:
        said.append(f"version: the card is of funnelstats {card.version}, this is {again.version}")
    return Verification(reproduces=data_same and number_same and card.id == again.id, said=(*said, words), card=card, again=again)


def _no_recipe(card: Card) -> str:
    """Why a card is not computed again, and what can be done."""
    notebook = card.recipe.get("notebook")
    if notebook:
        return (
            f"a number of the notebook {notebook}: `funnelstats verify {card.id}` runs it again with the parameters of the card"
        )
    return ("the card has no recipe: it says what was computed, not by which named quantity; its data can be compared, not its number. "
            "If a notebook published it, `funnelstats run` writes a card that can be verified into results.json")  # fmt: skip


def _read(card: Card, data: Any, near: tuple[str, ...], key: str | bytes | None) -> Any:
    """The data of a card, read with its words, under the names that were used."""
    recipe = card.recipe
    if hasattr(data, "stages") and hasattr(data, "reading"):
        return data
    source = data if data is not None else located(str(recipe.get("source", "")), near)
    if recipe["quantity"] in QUANTITIES and of_orders(recipe["quantity"]):
        words = {field.name: recipe.get(field.name, "") for field in fields(OrdersReading) if field.name != "source"}
        return data if isinstance(data, Transactions) else Transactions.of(source, **words)
    kind, *keep = recipe.get("pseudonyms") or [""]
    if kind == "key" and key is None:
        fix = f"give the key: --key-file, or the environment variable {KEY_VARIABLE}"
        raise DataError(card.id, [Problem("key", "names were replaced with a key of your own", fix)])
    log: Any = read_crm(source, mapping=recipe.get("mapping"), as_of=recipe.get("as_of"), start=recipe.get("start"),
                   unit=recipe.get("unit", "day"), on_problem=recipe.get("on_problem", "raise"))  # fmt: skip
    log = pseudonymise(log, key=key if kind == "key" else None, keep=keep) if kind else log
    kept = recipe.get("counts")
    return counts_only(log, by=kept["by"], k=kept["smallest"]) if kept else log


def located(name: str, near: tuple[str, ...]) -> str:
    """Find a file by its name: at one of the places named, else here."""
    if name.startswith(("bundled:", "public:")):
        return name
    for place in near:
        path = Path(place)
        if path.name == name and path.exists():
            return str(path)
        if path.is_dir() and (path / name).exists():
            return str(path / name)
    return name


def _data(card: Card, again: Card) -> tuple[bool, list[str]]:
    if card.data_sha256 == again.data_sha256:
        said = [f"data: the same, SHA-256 {card.data_sha256[:12]}..."]
        files = [sorted(map(str, one.recipe.get("files", {}).values())) or one.file_sha256 for one in (card, again)]
        if all(files) and files[0] != files[1]:
            what = "every count made of them" if card.recipe.get("counts") else "every value in them"
            what = "what the number rests on" if card.recipe.get("notebook") else what
            said.append(f"files: written anew (their SHA-256 changed), {what} is the same")
        return True, said
    return False, [f"data: changed, SHA-256 {card.data_sha256[:12]}... on the card, {again.data_sha256[:12]}... now"]


def _number(card: Card, again: Card) -> tuple[bool, str]:
    """Whether every point and bound came out again, and what is said of it."""
    if card.reason or again.reason:
        same = card.reason == again.reason
        return same, f"number: the same, {again.said}" if same else f"number: {card.said} on the card, {again.said} now"
    if [one.label for one in card.values] != [one.label for one in again.values]:
        return False, f"number: {card.said} on the card, {again.said} now"
    pairs = [(old, new, part, getattr(old, part), getattr(new, part))
             for old, new in zip(card.values, again.values, strict=True) for part in ("point", "lower", "upper")]  # fmt: skip
    if all(abs(was - now) <= SAME * max(abs(was), abs(now), 1e-300) for *_, was, now in pairs):
        return True, f"number: the same, {again.said}"
    near = card.method == "mcmc" and all(
        abs(was - now) <= SAMPLED * (1 if part == "point" else 2) * max(old.sd, new.sd) for old, new, part, was, now in pairs
    )
    if near:
        return True, f"number: the same within the error of sampling, {card.said} on the card, {again.said} now"
    return False, f"number: changed, {card.said} on the card, {again.said} now"


def _specification(card: Card, again: Card) -> list[str]:
    """Fields of the question that differ."""
    names = ("estimand", "population", "period", "definition", "unit", "model", "formula", "specification", "priors", "method", "seed",
             "settings", "interval_kind", "mass", "causal")  # fmt: skip
    changed = [name for name in names if getattr(card, name) != getattr(again, name)]
    return [f"specification: {', '.join(changed) or 'the id'} changed"]


def _as_stated(again: Card, card: Card) -> Card:
    """What the author stated by hand is no result of computing and is carried over."""
    stated = {
        name: getattr(card, name) for name in ("sensitivity", "posterior_check", "decision", "remark") if getattr(card, name)
    }
    return replace(again, **stated)
