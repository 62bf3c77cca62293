"""Order books and customers' histories of any size, by the BG/NBD process with the shapes of CDNOW, in days."""

from pathlib import Path

import numpy as np
import pandas as pd

AS_OF = "1998-12-31"
R, ALPHA, A, B = 0.243, 4.414 * 7, 0.793, 2.426
P, Q, V = 6.25, 3.74, 15.44


def histories(customers: int, *, seed: int = 1) -> pd.DataFrame:
    """Columns frequency, recency, T (whole days), monetary_value (missing where nobody came back)."""
    rng = np.random.default_rng([seed, customers])
    span = rng.integers(180, 366, customers).astype(float)
    rate, leave = rng.gamma(R, 1 / ALPHA, customers), rng.beta(A, B, customers)
    count, last = np.zeros(customers, dtype=np.int64), np.zeros(customers)
    now, alive = np.zeros(customers), np.arange(customers)
    while alive.size:
        now[alive] += np.maximum(np.ceil(rng.exponential(1 / np.maximum(rate[alive], 1e-12))), 1)
        alive = alive[now[alive] <= span[alive]]
        count[alive] += 1
        last[alive] = now[alive]
        alive = alive[rng.random(alive.size) > leave[alive]]
    with np.errstate(divide="ignore"):
        value = np.where(
            count > 0, rng.gamma(np.maximum(P * count, 1), V / rng.gamma(Q, 1, customers)) / np.maximum(count, 1), np.nan
        )
    return pd.DataFrame({"frequency": count, "recency": last, "T": span, "monetary_value": value})


def write_histories(path: Path, *, customers: int) -> int:
    """Write histories to Parquet; returns the number of customers."""
    histories(customers).to_parquet(path)
    return customers


def write_orders(path: Path, *, rows: int) -> int:
    """Write an order book of this many rows to Parquet: customer, at, amount; five rows to a customer on average."""
    rng = np.random.default_rng([2, rows])
    who = rng.integers(0, max(rows // 5, 1), rows)
    at = np.datetime64("1997-01-01") + rng.integers(0, 729, rows).astype("timedelta64[D]")
    amount = np.round(rng.lognormal(3.5, 0.6, rows), 2)
    pd.DataFrame({"customer": who, "at": at.astype("datetime64[us]"), "amount": amount}).to_parquet(path)
    return rows
