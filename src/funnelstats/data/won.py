"""What are won deals worth: how many have an amount, their mean, spread and total? The same digits on every run.

An engine adds in whatever order its threads come, which moves the last digit of a sum. Here equal amounts are counted where they
lie, and the sums of the distinct ones are rounded once (``math.fsum``), so that a file written twice is the same file.
"""

import math
from collections.abc import Sequence

import ibis.expr.types as ir
import pandas as pd

FIGURES = ("n", "missing", "mean", "sd", "total")


def describe(won: ir.Table, by: Sequence[str]) -> pd.DataFrame:
    """One row per segment: ``n`` with an amount, ``missing`` without, ``mean``, ``sd`` (of the sample), ``total``."""
    keys = [*by, "amount"]
    counted = won.select(*keys).group_by(keys).aggregate(times=lambda table: table.count()).execute().sort_values(keys)
    if not by:
        return pd.DataFrame([_figures(counted)], columns=list(FIGURES))
    rows = [(*(label if isinstance(label, tuple) else (label,)), *_figures(part)) for label, part in counted.groupby(list(by))]
    return pd.DataFrame(rows, columns=[*by, *FIGURES])


def _figures(part: pd.DataFrame) -> tuple[int, int, float, float, float]:
    known = part[part["amount"].notna()]
    n, missing = int(known["times"].sum()), int(part["times"].sum()) - int(known["times"].sum())
    amounts, times = known["amount"].astype(float).tolist(), known["times"].tolist()
    total = math.fsum(amount * k for amount, k in zip(amounts, times, strict=True))
    mean = total / n if n else math.nan
    squares = math.fsum(k * (amount - mean) ** 2 for amount, k in zip(amounts, times, strict=True))
    return n, missing, mean, math.sqrt(squares / (n - 1)) if n > 1 else math.nan, total if n else math.nan
