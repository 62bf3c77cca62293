"""Where do measured tables go? Into their own section of ``docs/benchmarks.md``, replaced as a whole by every run."""

import datetime
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Every table is written by `make bench` (or `python -m benchmarks NAME`) in one run on one machine. Times drift between machines;
the ratios within a table hold better. No test depends on them.
"""


def write_section(name: str, title: str, body: str) -> None:
    """Replace or append the section of one benchmark."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else HEAD
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    section = f"{begin}\n## {title}\n\nMeasured on {datetime.date.today()}.\n\n{body.strip()}\n{end}"
    if begin in page:
        before, rest = page.split(begin, 1)
        page = before + section + rest.split(end, 1)[1]
    else:
        page = page.rstrip() + "\n\n" + section + "\n"
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Lay out a table, the first column to the left and the others to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
