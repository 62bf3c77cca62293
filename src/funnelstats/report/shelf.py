"""Where is the card of this name? In whatever a run left: results.json, cards.json, a report as JSON or as a page."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from funnelstats.errors import DataError, Problem
from funnelstats.report.cards import SCHEMA, Card
from funnelstats.report.section import rounded

_ENDINGS = (".json", ".html")
#: Between these a page holds its cards; the second cannot stand in what is between.
_BEGIN, _END = '<script type="application/json" id="funnelstats-cards">', "</script>"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Shelf:
    """The cards of some files.

    Attributes
    ----------
    cards : tuple of Card
        Each id once, in the order found.
    sources : tuple of str
        Paths of data that the files name.
    where : str
        What was searched, for messages.
    """

    cards: tuple[Card, ...]
    sources: tuple[str, ...] = ()
    where: str = "the files"

    @classmethod
    def of(cls, *places: Path | str) -> "Shelf":
        """Read the cards of a file, or of all JSON files and pages of a folder.

        Raises
        ------
        DataError
            Nothing there, or no JSON in it.
        """
        where = " and ".join(dict.fromkeys(map(str, places)))
        files = [file for place in places for file in _files(Path(place))]
        if not files:
            fix = "run `funnelstats run` or `funnelstats report` first, or say where with --in"
            raise DataError(where, [Problem("--in", "no JSON file and no report there", fix)])
        documents, problems = [], []
        for file in files:
            try:
                documents.append(_document(file))
            except (ValueError, OSError) as error:
                problems.append(Problem(file.name, f"not readable as JSON: {error}"))
        if problems and not documents:
            raise DataError(where, problems)
        found = {one["id"]: Card.from_dict(one) for one in _walk(documents) if one.get("schema") == SCHEMA}
        sources = dict.fromkeys(str(one["source"]) for one in _walk(documents) if isinstance(one.get("source"), str))
        return cls(cards=tuple(found.values()), sources=tuple(sources), where=where)

    def find(self, name: str) -> Card:
        """Find a card by its id, by the beginning of it, or by its name where only one has it.

        Raises
        ------
        DataError
            None, or more than one.
        """
        exact = [card for card in self.cards if card.id == name]
        begins = [card for card in self.cards if len(name.removeprefix("fs-")) > 2 and card.id.startswith(_whole(name))]
        matches = exact or begins or [card for card in self.cards if card.name == name]
        if len(matches) == 1:
            return matches[0]
        shown = [f"{card.id} ({card.estimand if matches else card.name})" for card in (matches or self.cards)[:12]]
        known = ("; " if matches else ", ").join(shown) or "none"
        found = f"{len(matches)} cards fit {name!r}" if matches else f"no card is called {name!r}"
        raise DataError(self.where, [Problem("ID", found, f"cards there: {known}")])


def embedded(cards: Iterable[Card]) -> str:
    """Cards as a part of a page that no browser shows or runs, so that whoever has the page has the cards whole."""
    text = json.dumps(rounded({"cards": [card.to_dict() for card in cards]}), ensure_ascii=False, allow_nan=False)
    return _BEGIN + text.replace("<", "\\u003c") + _END


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(one for ending in _ENDINGS for one in path.glob(f"*{ending}"))
    return [path] if path.is_file() else []


def _document(file: Path) -> Any:
    """What a file holds; of a page the cards embedded in it."""
    text = file.read_text(encoding="utf-8")
    if file.suffix.lower() != ".html":
        return json.loads(text)
    _, begun, rest = text.partition(_BEGIN)
    return json.loads(rest.partition(_END)[0]) if begun else {}


def cards_json(cards: Iterable[Card]) -> str:
    """Text of a file of cards; the same cards are the same text."""
    return json.dumps({"cards": [card.to_dict() for card in cards]}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def cards_of(given: Any) -> list[Card]:
    """Cards out of whatever holds them: a sequence of cards, a parsed JSON document, a path."""
    if isinstance(given, str | Path):
        return list(Shelf.of(given).cards)
    if isinstance(given, Card):
        return [given]
    if isinstance(given, Sequence) and all(isinstance(one, Card) for one in given):
        return list(given)
    return list({one["id"]: Card.from_dict(one) for one in _walk(given) if one.get("schema") == SCHEMA}.values())


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from _walk(part)
    elif isinstance(value, list):
        for part in value:
            yield from _walk(part)


def _whole(name: str) -> str:
    return name if name.startswith("fs-") else f"fs-{name}"
