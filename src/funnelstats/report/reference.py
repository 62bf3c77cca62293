"""How is a card written for a reader, for LaTeX and for a reference manager?

Nothing here looks at the clock: the date of a citation is the day until which the data were watched.
"""

from typing import Any

from funnelstats.errors import DataError, Problem
from funnelstats.units import spoken

_TEX = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_", "$": r"\$",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}  # fmt: skip
OBSERVATIONAL = "observational: it says what goes together, not what a change would bring about"
CAUSAL = "declared causal: its meaning as an effect rests on the design that was declared"


def lines(card: Any) -> list[tuple[str, str]]:
    """The card as pairs of heading and text; a text is empty where nothing is known."""
    n = "" if card.n is None else f"{card.n:,} {card.counted}".strip()
    if n and card.censored is not None:
        n += f", {card.censored:,} of them still open" if card.censored else ", none of them open"
    interval = ""
    if card.values and card.mass is not None:
        interval = f"{card.interval_kind}, {100 * card.mass:g}%; the point is the {card.point_kind}"
    method = ", ".join([*filter(None, (card.method,)), *card.settings, *([] if card.seed is None else [f"seed {card.seed}"])])
    return [
        ("Population", card.population), ("Period", card.period), ("Data", n),
        ("Unit", spoken(card.unit)),
        ("Interval", interval), ("Definition", card.definition), ("Model", ": ".join(filter(None, (card.model, card.formula)))),
        ("Priors", "; ".join(card.priors)), ("Method", method), ("Diagnosis", card.diagnosis or card.verdict),
        ("Reading", CAUSAL if card.causal else OBSERVATIONAL), ("Checked against the data", card.posterior_check),
        ("Sensitivity", card.sensitivity), ("Decision", card.decision), ("Remark", card.remark),
        ("Source", card.source), ("Data SHA-256", card.data_sha256), ("Files SHA-256", card.file_sha256),
        ("Computed again", card.again),
        ("Not stated", ", ".join(card.not_stated)), ("Software", f"funnelstats {card.version}"), ("Card", card.id),
    ]  # fmt: skip


def text(card: Any) -> str:
    """The card as text, one item a line."""
    head = f"{_capital(card.estimand)}: {card.said}."
    stop = [] if card.citable else [f"MAY NOT BE CITED. The diagnosis failed: {card.diagnosis}."]
    return "\n".join([head, *stop, *(f"  {name}: {value}" for name, value in lines(card) if value)])


def bibtex(card: Any, author: str = "") -> str:
    """The card as a BibTeX entry; the package stands for an author where none is named.

    Raises
    ------
    DataError
        A diagnosis failed.
    """
    refuse(card)
    year = {"year": card.as_of[:4]} if card.as_of else {}
    note = f"{_capital(card.said)}. {_capital(_data_words(card))}. Card {card.id}, data SHA-256 {card.data_sha256}"
    parts = {"title": _capital(card.estimand), "author": author, **year, "version": card.version, "note": note}
    width = max(map(len, parts))
    written = {name: _tex(value) for name, value in parts.items()} | ({} if author else {"author": "{funnelstats}"})
    body = ",\n".join(f"  {name:<{width}} = {{{value}}}" for name, value in written.items())
    return f"@misc{{{card.id},\n{body}\n}}"


def csl(card: Any, author: str = "") -> dict[str, Any]:
    """The card as an item of CSL JSON.

    Raises
    ------
    DataError
        A diagnosis failed.
    """
    refuse(card)
    item: dict[str, Any] = {"id": card.id, "type": "dataset", "title": _capital(card.estimand),
                            "author": [{"literal": author or "funnelstats"}]}  # fmt: skip
    if card.as_of:
        item["issued"] = {"date-parts": [[int(part) for part in card.as_of[:10].split("-")]]}
    return item | {"version": card.version, "number": card.id, "abstract": text(card), "note": f"data SHA-256 {card.data_sha256}"}


def refuse(card: Any) -> None:
    """Raise for a card that may not be cited."""
    if not card.citable:
        fix = "mend the fit (more draws, other priors, more data) until its diagnosis passes"
        raise DataError(
            f"card {card.id}", [Problem("diagnosis", f"a number that failed may not be cited: {card.diagnosis}", fix)]
        )


def _data_words(card: Any) -> str:
    n = (
        ""
        if card.n is None
        else f"n = {card.n:,} {card.counted}".strip() + (f", {card.censored:,} open" if card.censored else "")
    )
    return ", ".join(filter(None, (card.population, card.period, n))) or "population not stated"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _tex(words: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in words)
