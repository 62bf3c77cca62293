"""What can be done with a card from the command line: print it for a reader, for LaTeX and for a reference manager; compute it again.

A shell sees the answer of ``verify`` as its exit code: 0 where the number came out again, 1 where it did not.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from funnelstats.errors import FunnelStatsError
from funnelstats.notebooks.again import card_again
from funnelstats.report.privacy import read_key
from funnelstats.report.shelf import Shelf
from funnelstats.report.verify import verify as computed_again

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Identity = Annotated[str, typer.Argument(metavar="ID", help="Of a card, the beginning of one, or its name.")]
Place = Annotated[
    Path | None,
    typer.Option(
        "--in", metavar="FILE|DIR", help="A report (.html, .json), results.json, or their folder; else build/ and here."
    ),
]
#: Where cards are looked for when nobody says where.
USUAL = (Path("build"), Path())


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the program."""
    app.command()(cite)
    app.command()(verify)


def cite(
    identity: Annotated[str | None, typer.Argument(metavar="ID", help="Of a card; all are listed when left out.")] = None,
    place: Place = None,
    form: Annotated[str, typer.Option("--as", metavar="all|text|bibtex|csl", help="One form only, to be piped.")] = "all",
    author: Annotated[str, typer.Option(help="Who computed it, for BibTeX and CSL JSON.")] = "",
) -> None:
    """Print a card: as text, as BibTeX and as CSL JSON."""
    try:
        shelf = Shelf.of(*((place,) if place else USUAL))
        if identity is None:
            for card in shelf.cards:
                _plain(f"{card.id}  {card.name}, {card.estimand}: {card.said}" + ("" if card.citable else "  (may not be cited)"))
            if not shelf.cards:
                _plain(f"no card in {shelf.where}")
            return
        card = shelf.find(identity)
        forms: dict[str, Any] = {"text": card.text, "bibtex": lambda: card.bibtex(author=author),
                                 "csl": lambda: json.dumps([card.csl(author=author)], indent=2, ensure_ascii=False)}  # fmt: skip
        if form != "all" and form not in forms:
            raise typer.BadParameter(f"expected all, {', '.join(forms)}, found {form!r}")
        if not card.citable:
            _plain(card.text())
        _plain("\n\n".join(make() for name, make in forms.items() if form in ("all", name)))
    except FunnelStatsError as error:
        _fail(error)


def verify(
    identity: Identity,
    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="Where the data are now; by the name on the card when left out.")
    ] = None,
    place: Place = None,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Key of pseudonyms, where one of your own was used.")
    ] = None,
) -> None:
    """Compute a card's number again from the data, and say whether it reproduces."""
    try:
        shelf = Shelf.of(*((place,) if place else USUAL))
        card = shelf.find(identity)
        folder = USUAL[0] if place is None else place if place.is_dir() else place.parent
        near = (*shelf.sources, ".", str(folder), str(folder.parent))
        if not card.recipe.get("quantity") and card.recipe.get("notebook"):
            err.print(f"running {card.recipe['notebook']} again", style="dim")
        found = computed_again(card, data=data, near=near, key=read_key(key_file), rerun=card_again)
    except FunnelStatsError as error:
        _fail(error)
    _plain(str(found))
    if not found.reproduces:
        raise typer.Exit(1)


def _plain(text: str) -> None:
    out.print(text, markup=False)


def _fail(error: FunnelStatsError) -> None:
    err.print(f"[bold red]error[/] {escape(str(error))}")
    raise typer.Exit(1) from None
