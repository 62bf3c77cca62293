"""How is a report written as text: Markdown for people, JSON with the cards for programs?"""

import json
from typing import Any

from funnelstats.report.document import Document
from funnelstats.report.section import Grid, Section, Sentence, rounded

#: Marks a report inside a JSON file.
SCHEMA = "funnelstats-report-1"


def to_json(document: Document) -> str:
    """Write a report as JSON: sentences, tables as numbers, figures in words, and the cards whole."""
    content = {
        "schema": SCHEMA, "version": document.version, "title": document.title, "source": document.source, "period": document.period,
        "data_sha256": document.data_sha256, "headlines": [_said(one) for one in document.headlines],
        "sections": [_section(one) for one in document.sections], "cards": [card.to_dict() for card in document.cards],
    }  # fmt: skip
    return json.dumps(rounded(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _section(section: Section) -> dict[str, Any]:
    figures = [{"title": one.title, "alt": one.alt} for one in section.pictures]
    return {"key": section.key, "title": section.title, "missing": section.missing, "sentences": [_said(one) for one in section.sentences],
            "figures": figures, "tables": [_table(one) for one in section.tables], "cards": [card.id for card in section.cards]}  # fmt: skip


def _said(sentence: Sentence) -> dict[str, str]:
    return {"text": sentence.text, "card": sentence.card}


def _table(grid: Grid) -> dict[str, Any]:
    heads, rows = grid.values()
    return {"title": grid.title, "note": grid.note, "columns": heads, "rows": rows}


def to_markdown(document: Document) -> str:
    """Write a report as Markdown; a figure is given in words, with its table."""
    lines = [f"# {document.title}", "", f"{_md(document.source)}, {document.period}", "", "## In short", ""]
    lines += [f"- {_sentence(one)}" for one in document.headlines]
    for section in document.sections:
        lines += ["", f"## {section.title}"]
        if section.missing:
            lines += ["", _md(section.missing)]
            continue
        for sentence in section.sentences:
            lines += ["", _sentence(sentence)]
        for picture in section.pictures:
            lines += ["", f"*Figure: {_md(picture.alt)}*"]
        for grid in section.tables:
            lines += ["", *_markdown_table(grid)]
    if document.cards:
        lines += ["", "## Cards to cite"]
        for card in document.cards:
            lines += ["", "```text", card.text().replace("```", "'''"), "```"]
    lines += ["", f"funnelstats {document.version}. Data SHA-256 `{document.data_sha256}`.", ""]
    return "\n".join(lines)


def _sentence(sentence: Sentence) -> str:
    return _md(sentence.text) + (f" `{sentence.card}`" if sentence.card else "")


def _markdown_table(grid: Grid) -> list[str]:
    marks = [":--" if column.kind == "text" else "--:" for column in grid.columns.values()]
    rows = [grid.heads(), *grid.rows()]
    written = ["| " + " | ".join(_md(text) for text in row) + " |" for row in rows]
    note = ["", _md(grid.note)] if grid.note else []
    return [f"**{_md(grid.title)}**", "", written[0], "|" + "|".join(marks) + "|", *written[1:], *note]


def _md(text: str) -> str:
    """Text in which no letter means layout."""
    text = " ".join(text.split())
    for letter in ("\\", "|", "*", "_", "`", "<", "[", "#"):
        text = text.replace(letter, "\\" + letter)
    return text
