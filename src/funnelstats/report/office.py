"""How does a report open in an office: as a Word document, and as tables in a workbook?

Both formats keep the hour at which they were written; here they keep none, so that the same report is the same bytes.
"""

import re
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from funnelstats.report.document import Document
from funnelstats.report.section import Grid, Picture, Section, Sentence, rounded

#: The day that stands where a format demands one; the earliest that a ZIP archive can name.
NO_DAY = (1980, 1, 1, 0, 0, 0)
_STAMP = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*(<)")
#: Width of text on a page, in inches.
_WIDE = 6.0


def to_docx(document: Document) -> bytes:
    """Write a report as a Word document, with figures and their alternative texts."""
    from docx import Document as new_word
    from docx.shared import Mm

    word = new_word()
    page = word.sections[0]
    page.page_width, page.page_height, page.left_margin, page.right_margin = Mm(210), Mm(297), Mm(20), Mm(20)
    word.core_properties.author, word.core_properties.title = f"funnelstats {document.version}", document.title
    word.core_properties.comments = ""
    word.add_heading(document.title, level=0)
    word.add_paragraph(f"{document.source}, {document.period}")
    word.add_heading("In short", level=1)
    for sentence in document.headlines:
        word.add_paragraph(_with_card(sentence), style="List Bullet")
    for section in document.sections:
        _write_section(word, section)
    if document.cards:
        word.add_heading("Cards to cite", level=1)
        for card in document.cards:
            word.add_paragraph(card.text())
    word.add_paragraph(f"funnelstats {document.version}. Data SHA-256 {document.data_sha256}.")
    buffer = BytesIO()
    word.save(buffer)
    return _without_hour(buffer.getvalue())


def _write_section(word: Any, section: Section) -> None:
    word.add_heading(section.title, level=1)
    if section.missing:
        word.add_paragraph(section.missing)
        return
    for sentence in section.sentences:
        word.add_paragraph(_with_card(sentence))
    for picture in section.pictures:
        _draw(word, picture)
    for grid in section.tables:
        _write_table(word, grid)


def _with_card(sentence: Sentence) -> str:
    return sentence.text + (f" [{sentence.card}]" if sentence.card else "")


def _draw(word: Any, picture: Picture) -> None:
    from docx.shared import Inches

    shape = word.add_picture(BytesIO(picture.chart.to_bytes("png")), width=Inches(_WIDE))
    shape._inline.docPr.set("descr", picture.alt)
    word.add_paragraph(picture.title, style="Caption")


def _write_table(word: Any, grid: Grid) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt

    word.add_paragraph(grid.title, style="Caption")
    table = word.add_table(rows=0, cols=len(grid.columns), style="Light List")
    for place, row in enumerate([grid.heads(), *grid.rows()]):
        for cell, text, column in zip(table.add_row().cells, row, grid.columns.values(), strict=True):
            part = cell.paragraphs[0]
            part.alignment = WD_ALIGN_PARAGRAPH.LEFT if column.kind == "text" else WD_ALIGN_PARAGRAPH.RIGHT
            run = part.add_run(text)
            run.font.size, run.bold = Pt(8), place == 0
    if grid.note:
        word.add_paragraph(grid.note)


def to_xlsx(document: Document) -> bytes:
    """Write the sentences, tables and cards of a report as a workbook: numbers as numbers, a bound in a column of its own."""
    from openpyxl import Workbook

    book = Workbook()
    first = book.active
    first.title = "Report"
    rows = [[document.title], [document.source], [document.period], [f"funnelstats {document.version}"], [document.data_sha256], [],
            ["Section", "Sentence", "Card"]]  # fmt: skip
    for section in document.sections:
        rows += [[section.title, section.missing, ""]] if section.missing else []
        rows += [[section.title, one.text, one.card] for one in section.sentences] if not section.missing else []
    _fill(first, rows, (24, 110, 20))
    taken = {"Report", "Cards"}
    for section in document.sections:
        for grid in () if section.missing else section.tables:
            heads, values = grid.values()
            sheet = book.create_sheet(_sheet_name(grid.title, taken))
            _fill(sheet, [heads, *values], [max(12, min(40, len(head))) for head in heads])
            if grid.note:
                sheet.cell(row=len(values) + 3, column=1, value=grid.note)
    cards: list[list[Any]] = [["Card", "Estimand", "Said", "Point", "Lower", "Upper", "Unit", "Verdict"]]
    for card in document.cards:
        for one in card.values if card.citable else ():
            cards.append(
                [
                    card.id,
                    card.estimand,
                    one.said,
                    rounded(one.point),
                    rounded(one.lower),
                    rounded(one.upper),
                    card.unit,
                    card.verdict,
                ]
            )
        if not card.values or not card.citable:
            cards.append(
                [
                    card.id,
                    card.estimand,
                    card.said if card.citable else "may not be cited",
                    None,
                    None,
                    None,
                    card.unit,
                    card.verdict,
                ]
            )
    _fill(book.create_sheet("Cards"), cards, (18, 60, 50, 12, 12, 12, 12, 10))
    buffer = BytesIO()
    book.save(buffer)
    return _without_hour(buffer.getvalue())


def _fill(sheet: Any, rows: list[list[Any]], widths: Any) -> None:
    from openpyxl.utils import get_column_letter

    for row in rows:
        sheet.append([_no_formula(value) for value in row])
    for place, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = width


def _no_formula(value: Any) -> Any:
    """Text as it is: what begins like a formula must not be computed by whoever opens the file."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _sheet_name(title: str, taken: set[str]) -> str:
    """A name that no other sheet has, of letters that a workbook allows."""
    name = re.sub(r"[\[\]:*?/\\]", " ", title)[:28].strip()
    number = 1
    while (name if number == 1 else f"{name} {number}") in taken:
        number += 1
    name = name if number == 1 else f"{name} {number}"
    taken.add(name)
    return name


def _without_hour(content: bytes) -> bytes:
    """The same archive with no hour in it."""
    buffer = BytesIO()
    day = b"%04d-%02d-%02dT00:00:00Z" % NO_DAY[:3]
    with ZipFile(BytesIO(content)) as old, ZipFile(buffer, "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "docProps/core.xml":
                part = _STAMP.sub(rb"\g<1>" + day + rb"\g<2>", part)
            new.writestr(ZipInfo(name, NO_DAY), part, compress_type=ZIP_DEFLATED)
    return buffer.getvalue()
