"""Which customers belong to the top, and who stands on the border? Value tiers with the probability of each.

With joint draws of all customers every draw is ranked anew, so that the cut-offs are as uncertain as the values.  With means and
standard deviations alone the cut-offs are those of the means, taken as known, and each value is taken as normal around its mean: that
finds more customers on a border than there are, because what moves all values together does not move ranks.
The probability is about what the draws are of: of expected value it leaves out the luck of future purchases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, Estimate
from funnelstats.interval import DEFAULT, Interval

#: Share of the customers in each tier, from the most valuable down.
SHARES = {"A": 0.2, "B": 0.3, "C": 0.5}
#: A customer whose likeliest tier is less probable than this stands on a border.
LEVEL = 0.8


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ValueTiers:
    """Tier of each customer, with its probability.

    Attributes
    ----------
    frame : DataFrame
        Index: the customer. ``value`` (mean), ``weight``, ``tier``, ``probability`` (of that tier), ``p_NAME`` of each tier,
        ``boundary`` (the likeliest tier is less probable than ``level``); with a cost also ``expected_cost``.
    cutoffs : DataFrame
        Index: every tier but the last. ``least``: the value a customer of the tier has at least, with ``lower`` and ``upper``.
    level : float
        Below it a customer is on a border.
    unit, description : str
        Of the values, and what they are.
    rule : str
        How tiers are cut and assigned.
    """

    frame: pd.DataFrame
    cutoffs: pd.DataFrame
    level: float
    unit: str
    description: str
    rule: str

    @property
    def names(self) -> list[str]:
        """Tiers from the top down."""
        return [name.removeprefix("p_") for name in self.frame.columns if name.startswith("p_")]

    @property
    def boundary(self) -> pd.DataFrame:
        """Customers on a border, the least certain first."""
        return self.frame[self.frame["boundary"]].sort_values("probability", kind="stable")

    def summary(self) -> pd.DataFrame:
        """One row per tier: customers assigned and expected, those on a border, their share of the value, the least value."""
        frame, weight = self.frame, self.frame["weight"]
        by = frame["tier"]
        total = float((frame["value"] * weight).sum())
        found = pd.DataFrame({
            "customers": weight.groupby(by, observed=False).sum(),
            "expected_customers": pd.Series({name: float(frame[f"p_{name}"].to_numpy() @ weight.to_numpy()) for name in self.names}),
            "boundary": (weight * frame["boundary"]).groupby(by, observed=False).sum(),
            "share_of_value": (frame["value"] * weight).groupby(by, observed=False).sum() / total if total else 0.0,
        }).loc[self.names].rename_axis("tier")  # fmt: skip
        return found.assign(unit=self.unit, rule=self.rule)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {int(row):,}" for name, row in self.summary()["customers"].items())
        count = int(self.frame.loc[self.frame["boundary"], "weight"].sum())
        return f"<ValueTiers by {self.description}: {sizes}; {count:,} customers on a border (below {self.level:.0%} sure)>"


def value_tiers(
    value: Any, *, shares: Mapping[str, float] | None = None, thresholds: Mapping[str, float] | None = None, weight: Any = None,
    customers: Sequence[Any] | None = None, level: float = LEVEL, cost: pd.DataFrame | None = None, unit: str = "",
    description: str = "value of a customer", interval: Interval = DEFAULT,
) -> ValueTiers:  # fmt: skip
    """Sort customers into tiers by value.

    Parameters
    ----------
    value : Estimate, DataFrame or array_like, shape (n_rows, n_draws)
        Joint draws: an estimate of dims (chain, draw, customer) with its unit and description, or one row of draws for each
        customer. Or a DataFrame of the columns ``mean`` and ``sd``.
    shares : mapping of str to float
        Share of the customers in each tier, from the top down, adding up to 1; 20 % A, 30 % B, 50 % C by default.
    thresholds : mapping of str to float
        In place of ``shares``: the least value of each tier, falling; the last is for all the rest, and its bound is not used.
    weight : array_like of int, optional
        How many customers each row stands for.
    customers : sequence, optional
        Names of the rows of an array.
    level : float
        A customer whose likeliest tier is less probable is on a border.
    cost : DataFrame, optional
        Cost of serving a customer as (row) when the tier is truly (column); the tier of least expected cost is then assigned, and
        else the likeliest one.
    unit, description
        Of the values, where they do not bring their own.
    interval : Interval
        Of the cut-offs.

    Returns
    -------
    ValueTiers

    Raises
    ------
    DataError
        Every violation at once: shares that do not add up, thresholds that do not fall, values that are no numbers.

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal([[100], [80], [60], [40], [20]], 8, size=(5, 2000))
    >>> tiers = value_tiers(draws, shares={"A": 0.4, "B": 0.6}, unit="CNY")
    >>> tiers.frame["tier"].tolist(), f"{tiers.frame['p_A'].iloc[1]:.2f}"
    (['A', 'A', 'B', 'B', 'B'], '0.96')
    """
    if isinstance(value, Estimate):
        unit, description = value.unit, value.description
    elif isinstance(value, pd.DataFrame) and "unit" in value and value["unit"].nunique() == 1:
        unit = unit or str(value["unit"].iloc[0])
    draws, known, names = _values(value, customers)
    count = np.ones(len(known[0] if known else draws), dtype=np.int64) if weight is None else np.asarray(weight)
    tiers, edges = _check(draws, known, count, names, shares, thresholds, level, cost)
    mean = known[0] if known else draws.mean(axis=1)
    if thresholds is not None:
        at = edges[:-1]
        reached = _beyond(known, at) if known else np.stack([(draws >= bound).mean(axis=1) for bound in at], axis=1)
        bounds, said = np.repeat(at[None], 2, axis=0), "least values given"
    elif known:
        at = np.array([_least(mean, count, edge) for edge in edges[:-1]])
        reached, bounds, said = (
            _beyond(known, at),
            np.repeat(at[None], 2, axis=0),
            "shares of customers (cut-offs taken as known)",
        )
    else:
        reached, cuts = _ranked(draws, count, edges[:-1])
        at, bounds, said = (
            cuts.mean(axis=0),
            np.stack(interval.of(cuts, axis=0)),
            f"shares of customers (cut-offs with their {interval})",
        )
    p = np.diff(np.column_stack([np.zeros(len(mean)), reached, np.ones(len(mean))]), axis=1).clip(0, 1)
    price = None if cost is None else p @ cost.loc[tiers, tiers].to_numpy(dtype=float).T
    place = p.argmax(axis=1) if price is None else price.argmin(axis=1)
    frame = pd.DataFrame({"value": mean, "weight": count, "tier": pd.Categorical.from_codes(place, pd.Index(tiers), ordered=True),
                          "probability": p[np.arange(len(p)), place]}, index=pd.Index(names, name="customer"))  # fmt: skip
    frame = frame.assign(**{f"p_{name}": p[:, j] for j, name in enumerate(tiers)}, boundary=p.max(axis=1) < level)
    if price is not None:
        frame["expected_cost"] = price.min(axis=1)
    cutoffs = pd.DataFrame(
        {"least": at, "lower": bounds[0], "upper": bounds[1], "unit": unit}, index=pd.Index(tiers[:-1], name="tier")
    )
    said += "; assigned: the " + ("likeliest tier" if cost is None else "tier of least expected cost")
    return ValueTiers(frame=frame, cutoffs=cutoffs, level=level, unit=unit, description=description, rule=said)


def _values(value: Any, customers: Sequence[Any] | None) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None, np.ndarray]:
    """Draws of each customer, or their means and standard deviations, and their names."""
    if isinstance(value, Estimate):
        (dim,) = value.draws.dims[2:] or ("",)
        flat = value.draws.stack(sample=SAMPLE_DIMS).transpose(dim, "sample")
        return flat.values, None, flat[dim].values if dim in flat.coords else np.arange(1, flat.shape[0] + 1).astype(str)
    frame = value if isinstance(value, pd.DataFrame) else None
    if frame is not None and {"mean", "sd"} <= set(frame.columns):
        return np.empty((0, 0)), tuple(frame[name].to_numpy(dtype=float) for name in ("mean", "sd")), frame.index.to_numpy()  # type: ignore[return-value]
    array = np.asarray(value, dtype=float)
    array = array[:, None] if array.ndim == 1 else array
    own = frame.index.to_numpy() if frame is not None else np.arange(1, len(array) + 1).astype(str)
    return array, None, own if customers is None else np.asarray(customers, dtype=object)


def _check(
    draws: np.ndarray, known: Any, count: np.ndarray, names: np.ndarray, shares: Any, thresholds: Any, level: float, cost: Any
) -> tuple[list[str], np.ndarray]:
    """Names of the tiers, and their upper shares of all or their least values; all that is wrong at once."""
    parts = dict((SHARES if shares is None else shares) if thresholds is None else thresholds)
    tiers, numbers = [str(name) for name in parts], np.array(list(parts.values()), dtype=float)
    values = draws if known is None else np.column_stack(known)
    rows = [
        ("shares, thresholds", shares is not None and thresholds is not None, "expected one of the two, found both"),
        ("tiers", len(tiers) < 2, f"expected at least two, found {len(tiers)}"),
        ("shares", thresholds is None and not (np.all(numbers > 0) and abs(numbers.sum() - 1) < 1e-9),
         f"expected positive shares that add up to 1, found {numbers.tolist()}"),
        ("thresholds", thresholds is not None and not np.all(np.diff(numbers) < 0), f"expected to fall from the top, found {numbers.tolist()}"),
        ("level", not 0 < level <= 1, f"expected a probability, found {level!r}"),
        ("value", values.ndim != 2 or not values.size, f"expected rows of draws, found shape {values.shape}"),
        ("value", not np.all(np.isfinite(values)), f"expected finite numbers, found {int((~np.isfinite(values)).sum()):,} that are not"),
        ("sd", known is not None and np.any(values[:, 1:] < 0), "expected at least 0, found a negative one"),
        ("weight", count.shape != (len(values),) or np.any(count <= 0), f"expected one above 0 for each of {len(values):,} rows"),
        ("customers", len(names) != len(values), f"expected one name for each of {len(values):,} rows, found {len(names):,}"),
        ("cost", cost is not None and not (set(tiers) <= set(cost.index) and set(tiers) <= set(cost.columns)),
         f"expected a row and a column for each of {', '.join(tiers)}"),
    ]  # fmt: skip
    problems = [Problem(where, what) for where, bad, what in rows if bad]
    if problems:
        raise DataError("value tiers", problems)
    return tiers, numbers if thresholds is not None else np.cumsum(numbers)


def _beyond(known: Any, at: np.ndarray) -> np.ndarray:
    """Probability of at least ``at`` of values that are normal; a known value is there or is not."""
    mean, sd = (part[:, None] for part in known)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(sd > 0, ndtr((mean - at) / sd), mean >= at))


def _least(values: np.ndarray, count: np.ndarray, share: float) -> float:
    """Value of the last customer within the top ``share``."""
    order = np.argsort(-values, kind="stable")
    return float(values[order][np.searchsorted(np.cumsum(count[order]), share * count.sum() * (1 - 1e-12))])


def _ranked(draws: np.ndarray, count: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank every draw: chance of each row to be above each edge, and the value at it; equal values share their places."""
    above, cuts = np.zeros((len(draws), len(edges))), np.empty((draws.shape[1], len(edges)))
    goal = edges * count.sum()
    for k in range(draws.shape[1]):
        kinds, place = np.unique(-draws[:, k], return_inverse=True)
        size = np.bincount(place, weights=count)
        end = np.cumsum(size)
        above += ((goal - (end - size)[:, None]) / size[:, None]).clip(0, 1)[place]
        cuts[k] = -kinds[np.searchsorted(end, goal * (1 - 1e-12))]
    return above / draws.shape[1], cuts
