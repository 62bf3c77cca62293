"""Who bought last, most often and for most? RFM scores by quantile, and the names that marketing gives to their combinations.

Equal values get equal scores.  Frequency and money score 1 plus the number of cut points strictly below the value, recency as many
fewer than the best: as :func:`pandas.qcut` does where all cut points differ.  Where many customers share a value some cut points
coincide and some scores are not given; nothing is relabelled to fill the gap, and ``notes`` says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import ibis
import numpy as np
import pandas as pd

from funnelstats.data.customers import Customers
from funnelstats.data.transactions import Transactions
from funnelstats.errors import DataError, Problem
from funnelstats.window import ObservationWindow

_PARTS = ("recency", "frequency", "monetary")
OTHERS = "Others"
#: Ranges of the scores of recency, frequency, money; the first that fits is taken. Manual of the R package rfm 0.3.0, rfm_segment.
TEN = {
    "Champions": ("5", "5", "5"), "Potential Loyalist": ("345", "345", "2345"), "Loyal Customers": ("234", "234", "234"),
    "Promising": ("34", "123", "345"), "New Customers": ("45", "123", "12345"), "Can't Lose Them": ("12", "34", "45"),
    "At Risk": ("12", "2345", "45"), "Need Attention": ("123", "345", "345"), "About To Sleep": ("23", "123", "1234"),
    "Lost": ("1", "12345", "12345"),
}  # fmt: skip
#: Scores by quartile, one by one: the default of ``rfm_segments`` in pymc-marketing, clv/utils.py.
FIVE = {
    "Premium Customer": "334 443 444 344 434 433 343 333",
    "Repeat Customer": "244 234 232 332 143 233 243",
    "Top Spender": "424 414 144 314 324 124 224 423 413 133 323 313 134",
    "At Risk Customer": "422 223 212 122 222 132 322 312 412 123 214",
    "Inactive Customer": "411 111 113 114 112 211 311",
}


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RfmScores:
    """Scores and segment of each customer.

    Attributes
    ----------
    frame : DataFrame
        Index: the customer. ``recency`` (time since the last purchase), ``frequency`` (purchases), ``monetary``, ``weight``, the
        scores ``r``, ``f``, ``m`` (1 the worst), ``score`` (all three, such as ``"543"``) and ``segment``.
    cuts : DataFrame
        Cut points, one row for each of the three.
    unit : str
        Of recency.
    currency, monetary : str
        Of the money; what it is, in words.
    notes : tuple of str
        Where values are shared by so many that scores are missing.
    """

    frame: pd.DataFrame
    cuts: pd.DataFrame
    unit: str
    currency: str
    monetary: str
    notes: tuple[str, ...]

    def summary(self) -> pd.DataFrame:
        """One row per segment that occurs: customers, their share, medians of recency, frequency and money."""
        rows = self.frame if self.frame["weight"].eq(1).all() else self.frame.loc[self.frame.index.repeat(self.frame["weight"])]
        grouped = rows.groupby("segment", observed=True)
        found = pd.DataFrame({"customers": grouped.size(), "share": grouped.size() / len(rows)})
        found[[f"median_{name}" for name in _PARTS]] = grouped[list(_PARTS)].median()
        return found.assign(unit=self.unit, currency=self.currency)

    def __repr__(self) -> str:
        notes = "".join(f"; {note}" for note in self.notes)
        return f"<RFM scores of {int(self.frame['weight'].sum()):,} customers; money is {self.monetary}{notes}>"


def rfm_scores(
    data: Customers | Transactions, *, segments: str | Mapping[str, Sequence[str]] = "ten", bins: int | None = None,
    monetary: Literal["total", "mean"] = "total", as_of: Any = None,
) -> RfmScores:  # fmt: skip
    """Score customers by recency, frequency and money, and name their segments.

    Parameters
    ----------
    data : Customers or Transactions
        Of transactions all purchases count, on days merged, up to ``as_of``; they are summed up where they lie. Customers do not
        know the value of their first purchase: their money is that of repeat purchases, 0 where there are none.
    segments : {"ten", "five"} or mapping
        The ten of the R package rfm (quintiles), the five of pymc-marketing (quartiles), or segment to scores of your own,
        ``{"Best": ["555", "554"]}``. What is in none is ``"Others"``.
    bins : int, optional
        Number of quantiles, 2 to 9; 5, or 4 for ``"five"``.
    monetary : {"total", "mean"}
        Money over all purchases counted, or by purchase.
    as_of : date, optional
        End of observation, for transactions.

    Returns
    -------
    RfmScores

    Raises
    ------
    DataError
        No amounts; an unknown scheme, or one whose scores do not exist.

    Examples
    --------
    >>> found = rfm_scores(Transactions.of("bundled:cdnow"), as_of="1997-09-30")
    >>> found.frame.loc["0001", ["score", "segment"]].tolist(), found.notes[0][:28]
    (['544', 'Potential Loyalist'], 'frequency: nobody scores 2, ')
    """
    bins = bins or (4 if segments == "five" else 5)
    names, lookup = _lookup(segments, bins, monetary)
    if isinstance(data, Transactions):
        who, columns, unit, words = *_of_transactions(data, as_of), "day", "of all purchases"
    elif isinstance(data, Customers):
        who, columns, unit, words = *_of_customers(data), data.unit, "of repeat purchases"
    else:
        raise DataError("RFM scores", [Problem("data", f"expected Customers or Transactions, found {type(data).__name__}")])
    if np.isnan(columns["monetary"]).any():
        found = f"expected amounts for every customer, found {int(np.isnan(columns['monetary']).sum()):,} without"
        raise DataError(data.source, [Problem("monetary", found, "read the order book with its amounts")])
    count = np.maximum(columns.pop("counted"), 1)
    if monetary == "mean":
        columns["monetary"] = columns["monetary"] / count
    cuts, notes = {}, []
    for name, column in zip(_PARTS, ("r", "f", "m"), strict=True):
        cuts[name] = _cuts(columns[name], columns["weight"], bins)
        below = np.searchsorted(cuts[name], columns[name]).astype(np.int8)
        columns[column] = (bins - below if name == "recency" else 1 + below).astype(np.int8)
        notes += _note(name, columns[column], bins)
    code = ((columns["r"].astype(np.int64) - 1) * bins + columns["f"] - 1) * bins + columns["m"] - 1
    scores = ["".join(map(str, one)) for one in product(range(1, bins + 1), repeat=3)]
    labels = {"score": pd.Categorical.from_codes(code, categories=pd.Index(scores)),
              "segment": pd.Categorical.from_codes(lookup[code], categories=pd.Index(names))}  # fmt: skip
    frame = pd.DataFrame(columns | labels, index=pd.Index(who, name="customer"))
    shares = pd.Index([f"{share:.0%}" for share in np.arange(1, bins) / bins], name="cut")
    return RfmScores(frame=frame, cuts=pd.DataFrame(cuts, index=shares).T, unit=unit, currency=data.currency,
                     monetary=f"the {monetary} {words}", notes=tuple(notes))  # fmt: skip


def _of_customers(data: Customers) -> tuple[np.ndarray, dict[str, Any]]:
    money = np.where(data.frequency > 0, data.frequency * data.monetary_value, 0.0)
    return data.names, {"recency": data.time_since_last, "frequency": data.frequency + 1, "monetary": money,
                        "weight": data.weight, "counted": data.frequency}  # fmt: skip


def _of_transactions(data: Transactions, as_of: Any) -> tuple[np.ndarray, dict[str, Any]]:
    end = ibis.date(str(ObservationWindow.of(as_of or data.as_of or None, unit="day").as_of.date()))
    t = data.table.mutate(day=data.table["at"].date())
    t = t.filter((t["day"] <= end) & ((t["amount"] >= 0) | t["amount"].isnull()))
    frame = t.group_by("customer").aggregate(recency=end.delta(t["day"].max(), unit="day"), frequency=t["day"].nunique(),
                                             monetary=t["amount"].sum()).order_by("customer").execute()  # fmt: skip
    if frame.empty:
        raise DataError(data.source, [Problem("as_of", "nobody bought by then", "check as_of, and the dates of the file")])
    columns = {name: frame[name].to_numpy() for name in ("recency", "frequency")}
    money = frame["monetary"].to_numpy(dtype=float)
    return frame["customer"].astype(str).to_numpy(), columns | {"monetary": money, "weight": np.ones(len(frame), dtype=int),
                                                    "counted": columns["frequency"]}  # fmt: skip


def _cuts(values: np.ndarray, weight: np.ndarray, bins: int) -> np.ndarray:
    every = values if np.all(weight == 1) else np.repeat(values, weight)
    return np.asarray(np.quantile(every, np.arange(1, bins) / bins))


def _note(name: str, scores: np.ndarray, bins: int) -> list[str]:
    missing = sorted(set(range(1, bins + 1)) - set(np.flatnonzero(np.bincount(scores, minlength=bins + 1)).tolist()))
    if not missing:
        return []
    return [f"{name}: nobody scores {', '.join(map(str, missing))}, since too many customers share one value"]


def _lookup(segments: Any, bins: int, monetary: str) -> tuple[list[str], np.ndarray]:
    """Names of the segments, and for each of the bins ** 3 scores the place of its own among them."""
    problems = [Problem(where, f"expected {expected}, found {found!r}") for where, bad, expected, found in (
        ("bins", bins not in range(2, 10), "a number from 2 to 9", bins),
        ("monetary", monetary not in ("total", "mean"), 'one of "total", "mean"', monetary),
        ("segments", not isinstance(segments, Mapping) and segments not in ("ten", "five"), '"ten", "five" or a mapping', segments),
        ("segments", segments == "ten" and bins != 5, "a mapping of your own for other bins than 5: the ten are of quintiles", bins),
        ("segments", segments == "five" and bins != 4, "a mapping of your own for other bins than 4: the five are of quartiles", bins),
    ) if bad]  # fmt: skip
    if problems:
        raise DataError("RFM scores", problems)
    if segments == "ten":
        sets = {name: ["".join(one) for one in product(*digits)] for name, digits in TEN.items()}
    elif segments == "five":
        sets = {name: scores.split() for name, scores in FIVE.items()}
    else:
        sets = {str(name): [str(score) for score in scores] for name, scores in segments.items()}
    names, place = [*sets, OTHERS], {"".join(map(str, one)): at for at, one in enumerate(product(range(1, bins + 1), repeat=3))}
    lookup = np.full(bins**3, len(sets))
    for at, (name, scores) in enumerate(sets.items()):
        unknown = [score for score in scores if score not in place]
        if unknown:
            raise DataError(
                "RFM scores", [Problem(f"segment {name}", f"expected three digits from 1 to {bins}, found {unknown[0]!r}")]
            )
        own = np.array([place[score] for score in scores], dtype=int)
        lookup[own[lookup[own] == len(sets)]] = at
    return names, lookup
