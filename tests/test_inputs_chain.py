"""Periods and chains that cannot be fitted: a named reason for each, and never a number from a singular matrix."""

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.periods import Periods, read_periods
from funnelstats.errors import DataError, FitError
from funnelstats.models.chain import Chain


def months(n=24, **columns):
    rng = np.random.default_rng(1)
    M = rng.uniform(10, 30, n)
    L = 100 * M + rng.normal(0, 50, n)
    S = 0.5 * L + rng.normal(0, 30, n)
    frame = pd.DataFrame({"month": pd.date_range("2024-01-01", periods=n, freq="MS"), "M": M, "L": L, "S": S})
    return frame.assign(R=0.8 * S + 200 + rng.normal(0, 40, n)).assign(**columns)


def refused(frame, chain=None, **options):
    with pytest.raises((DataError, FitError)) as caught:
        (chain or Chain()).fit(Periods.of(frame, period="month", **options), seed=1, draws=50)
    return str(caught.value)


def test_two_currencies_are_seen_in_a_column_that_is_called_so(tmp_path):
    mixed = months(Currency=["CNY", "EUR"] * 12)
    assert "currency: expected one currency, found CNY, EUR; convert the amounts first" in refused(mixed)
    path = tmp_path / "months.csv"
    mixed.to_csv(path, index=False)
    with pytest.raises(DataError, match="expected one currency, found CNY, EUR"):
        read_periods(path)
    assert Periods.of(months(currency="CNY"), period="month").currency == "CNY"


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (months(2), "M -> L: fewer periods than coefficients: 2 for 2 and the noise"),
        (months(M=5.0), "M is the same in all 24 periods, so its slope is not identified"),
        (months().assign(S=lambda d: 2 * d["L"]), "L -> S: zero residual: the points lie exactly on a line"),
        (months().drop(columns="S"), "S: missing link: expected a variable, found M, L, R"),
        (months(R="x"), "R: missing link: expected a variable, found M, L, S; name its column; a column of text is none"),
        (months().drop(index=5), "month: expected every month from first to last, found 1 missing, the first after 5 of them"),
    ],
    ids=["two periods", "constant M", "zero residual", "no S", "text", "gap"],
)
def test_what_cannot_be_fitted_says_why(frame, said):
    assert said in refused(frame)


def test_collinear_columns_are_named():
    frame = months().assign(L=lambda d: 100 * d["M"])
    said = refused(frame, Chain.of("M -> L -> S -> R", skip="M -> S"))
    assert "L and M -> S: L is an exact linear function of M: only one combination of their slopes is identified" in said
