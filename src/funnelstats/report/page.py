"""How does a report look as one page? Text, tables and figures inside one HTML file that asks nothing of a network.

The page reads at the width of a phone, on a desk and on paper: wide tables scroll by themselves, and print shows what a screen folds.
"""

from base64 import b64encode
from html import escape
from pathlib import Path

from funnelstats.report import reference
from funnelstats.report.cards import Card
from funnelstats.report.document import Document
from funnelstats.report.section import Grid, Picture, Section, Sentence
from funnelstats.report.shelf import embedded


def to_html(document: Document) -> str:
    """Write a report as one self-contained page.

    Parameters
    ----------
    document : Document

    Returns
    -------
    str
        The same document gives the same text: no clock, no random names.
    """
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    contents = "".join(f'<li><a href="#{one.key}">{escape(one.title)}</a></li>' for one in document.sections)
    contents += '<li><a href="#cards">Cards to cite</a></li>' if document.cards else ""
    heads = "".join(f"<li>{_sentence(one)}</li>" for one in document.headlines)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(document.title)}: {escape(document.source)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header>
<h1>{escape(document.title)}</h1>
<p class="facts">{escape(document.source)}<br>{escape(document.period)}</p>
</header>
<nav aria-label="Contents"><ol>{contents}</ol></nav>
<main>
<section id="headlines" class="headlines"><h2>In short</h2><ul>{heads}</ul></section>
{"".join(map(_section, document.sections))}
{_cards(document.cards)}
</main>
{embedded(document.cards) if document.cards else ""}
<footer>funnelstats {escape(document.version)}. Data SHA-256 <code>{document.data_sha256}</code>.</footer>
</body>
</html>
"""


def _section(section: Section) -> str:
    if section.missing:
        body = f'<p class="missing">{escape(section.missing)}</p>'
    else:
        said = "".join(f"<p>{_sentence(one)}</p>" for one in section.sentences)
        body = said + "".join(map(_picture, section.pictures)) + "".join(map(_table, section.grids))
    return f'<section id="{section.key}"><h2>{escape(section.title)}</h2>{body}</section>\n'


def _sentence(sentence: Sentence) -> str:
    link = (
        f' <a class="card" href="#{sentence.card}" title="The card of this number">{sentence.card}</a>' if sentence.card else ""
    )
    return escape(sentence.text) + link


def _picture(picture: Picture) -> str:
    drawn = b64encode(picture.chart.to_bytes("svg")).decode("ascii")
    image = f'<img src="data:image/svg+xml;base64,{drawn}" alt="{escape(picture.alt)}" width="{picture.chart.width}">'
    return f"<figure>{image}<figcaption>{escape(picture.title)}</figcaption></figure>{_table(picture.twin)}"


def _table(grid: Grid) -> str:
    words = [column.kind == "text" for column in grid.columns.values()]
    head = "".join(f'<th scope="col"{_left(word)}>{escape(text)}</th>' for text, word in zip(grid.heads(), words, strict=True))
    rows = "".join("<tr>" + "".join(f"<td{_left(word)}>{escape(text)}</td>" for text, word in zip(row, words, strict=True)) + "</tr>"
                   for row in grid.rows())  # fmt: skip
    note = f'<p class="note">{escape(grid.note)}</p>' if grid.note else ""
    table = f"<table><caption>{escape(grid.title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(grid.title)}">{table}</div>{note}'


def _left(word: bool) -> str:
    return ' class="word"' if word else ""


def _cards(cards: list[Card]) -> str:
    if not cards:
        return ""
    return ('<section id="cards"><h2>Cards to cite</h2><p>Each number has a card with what must stand beside it. The id names data and '
            f"method: the same question asked of the same data has the same id.</p>{''.join(map(_card, cards))}</section>")  # fmt: skip


def _card(card: Card) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in reference.lines(card) if text)
    cite = (
        f"<pre>{escape(card.bibtex())}</pre>"
        if card.citable
        else f'<p class="missing">May not be cited: {escape(card.diagnosis)}</p>'
    )
    said = f"{escape(card.estimand)}: {escape(card.said)}" if card.citable else f"{escape(card.estimand)}: may not be cited"
    return f'<details id="{card.id}"><summary><code>{card.id}</code> {said}</summary><dl>{rows}</dl>{cite}</details>'
