"""Does this library say what the papers and the other packages say? Printed numbers beside computed ones, and what was measured."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from funnelstats.bundle import bundled_path
from funnelstats.data.datasets import load_dataset
from funnelstats.errors import DataError, Problem


def published_table(topic: str, values: Mapping[str, float]) -> pd.DataFrame:
    """Put computed values beside those printed by papers and other packages.

    Parameters
    ----------
    topic : str
        One of the topics of the data set ``published``.
    values : mapping of str to float
        Quantity -> value computed now. Every quantity of the topic, and no other.

    Returns
    -------
    DataFrame
        Columns ``topic, quantity, printed, computed, difference, tolerance, within, kind, source, why``.

    Raises
    ------
    DataError
        An unknown topic; a quantity that is missing, or that nobody printed.

    Examples
    --------
    >>> published_table("rats", {"mean of alpha": 2.4027, "mean of beta": 14.320})["within"].tolist()
    [True, True]
    """
    table = load_dataset("published")
    rows = table[table["topic"] == topic].reset_index(drop=True)
    wanted, given = rows["quantity"].tolist(), list(values)
    if not wanted:
        raise DataError(
            "the published numbers", [Problem("topic", f"expected one of {table['topic'].unique().tolist()}, found {topic!r}")]
        )
    problems = [Problem(name, "printed, but not computed") for name in wanted if name not in values]
    problems += [
        Problem(name, "computed, but not printed", f"known: {', '.join(wanted)}") for name in given if name not in wanted
    ]
    if problems:
        raise DataError(f"the published numbers on {topic}", problems)
    computed = pd.Series([float(values[name]) for name in wanted], dtype=float)
    difference = computed - rows["printed"]
    # a binary fraction cannot say half of a last decimal exactly
    within = difference.abs() <= rows["tolerance"] + 1e-12 * rows["printed"].abs()
    shown = rows[["topic", "quantity", "printed"]].assign(computed=computed, difference=difference)
    return shown.assign(tolerance=rows["tolerance"], within=within, kind=rows["kind"], source=rows["source"], why=rows["why"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One section of a page that a measuring program wrote.

    Parameters
    ----------
    title, text : str
        Heading, and what was measured how.
    tables : tuple of DataFrame
        The numbers, as text.
    """

    title: str
    text: str
    tables: tuple[pd.DataFrame, ...]


def measured(page: str) -> dict[str, Measured]:
    """Read the results of ``make calibration`` or ``make bench`` that came with this version.

    Parameters
    ----------
    page : {"calibration", "benchmarks"}
        A page of the documentation; it is in the wheel as well.

    Returns
    -------
    dict of str to Measured
        Name of the measurement -> its section.

    Examples
    --------
    >>> measured("calibration")["quadrature"].title
    'Exchangeable groups by quadrature'
    """
    path = bundled_path("docs") / f"{page}.md"
    if page not in ("calibration", "benchmarks"):
        raise DataError("what was measured", [Problem("page", f"expected 'calibration' or 'benchmarks', found {page!r}")])
    parts = re.findall(r"<!-- (\w+): begin -->\n(.*?)<!-- \1: end -->", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return {name: _section(text) for name, text in parts}


def _section(text: str) -> Measured:
    lines = text.strip().splitlines()
    blocks = re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE)
    prose = " ".join(line for line in lines[1:] if line and not line.startswith("|"))
    return Measured(title=lines[0].lstrip("# "), text=prose, tables=tuple(_rows(block) for block in blocks))


def _rows(block: str) -> pd.DataFrame:
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.strip().splitlines()]
    return pd.DataFrame(rows, columns=head)
