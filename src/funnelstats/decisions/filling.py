"""Where does money bring most, piece by piece? The exact best split of a budget in each draw, and one split for all draws.

With concave responses cut into straight pieces, the best split is a linear program.  With a budget alone it is solved by laying
money on the steepest pieces first; a second limit (hours) gets a price, found by bisection, at which it is just kept.  One split
for all draws that is best on average, or in its worst share of draws (conditional value at risk: Rockafellar & Uryasev 2000,
J. Risk 2(3):21), is found by cutting planes on that program (Kuenzi-Bay & Mayer 2006, Comput. Manag. Sci. 3:3).
"""

import warnings
from dataclasses import dataclass

import numpy as np

from funnelstats.decisions.response import Response, read
from funnelstats.errors import ConvergenceWarning

_STEPS = 200
_CLOSE = 1e-6
#: Halvings of a price: what is lost by stopping there is a ten-thousand-millionth of the value.
_BISECTIONS = 36


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Pieces:
    """The straight pieces of all arms between their bounds, and the limits on what is laid on them.

    Attributes
    ----------
    arm, start, width : ndarray, shape (n_pieces,)
        To which arm a piece belongs, how far above the arm's lower bound it begins, and how wide it is.
    slope : ndarray, shape (n_draws, n_pieces)
        Value of a unit of spending on it.
    base : ndarray, shape (n_draws,)
        Value at the lower bounds.
    low : ndarray, shape (n_arms,)
        Lower bounds.
    hours : ndarray, shape (n_draws or 1, n_arms)
        What a unit of spending needs of the second resource; zeros where there is none.
    capacity : float
        How much of that there is; infinite where it does not matter.
    """

    arm: np.ndarray
    start: np.ndarray
    width: np.ndarray
    slope: np.ndarray
    base: np.ndarray
    low: np.ndarray
    hours: np.ndarray
    capacity: float

    def laid(self, spends: np.ndarray) -> np.ndarray:
        """Spending on each piece, the first of an arm first; spends of shape (..., n_arms)."""
        return np.clip((spends - self.low)[..., self.arm] - self.start, 0.0, self.width)

    def top(self) -> np.ndarray:
        """Upper bound of each arm."""
        return self.low + np.bincount(self.arm, weights=self.width)

    def value(self, split: np.ndarray) -> np.ndarray:
        """Value of one split in every draw."""
        return self.base + self.slope @ self.laid(split)


def pieces(response: Response, low: np.ndarray, high: np.ndarray, hours: np.ndarray, capacity: float) -> Pieces:
    """Cut a response between bounds into pieces."""
    columns: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    base: np.ndarray | float = 0.0
    for i, (levels, values) in enumerate(zip(response.levels, response.values, strict=True)):
        inside = levels[(levels > low[i]) & (levels < high[i])]
        knots = np.unique(np.concatenate([[low[i]], inside, [high[i]]]))
        height = np.stack([read(levels, values, knot).ravel() for knot in knots], axis=-1)
        base = base + height[:, 0]
        width = np.diff(knots)
        columns.append((np.full(len(width), i), knots[:-1] - low[i], width, np.diff(height) / width))
    arm, start, width = (np.concatenate([column[k] for column in columns]) for k in range(3))
    slope = np.concatenate([column[3] for column in columns], axis=1)
    return Pieces(arm=arm, start=start, width=width, slope=slope, base=np.asarray(base), low=low, hours=hours, capacity=capacity)


def fill(cut: Pieces, budget: float) -> np.ndarray:
    """Best split of each draw, exactly, shape (n_draws, n_arms); what brings nothing stays unspent."""
    money = budget - cut.low.sum()
    hours = np.broadcast_to(cut.hours, (len(cut.slope), cut.hours.shape[1]))
    left = cut.capacity - hours @ cut.low
    need = hours[:, cut.arm]
    laid = _steepest(cut.slope, cut.width, money)
    over = np.flatnonzero((need * laid).sum(axis=1) > left)
    if len(over):
        laid[over] = _priced(cut.slope[over], cut.width, money, need[over], left[over])
    return cut.low + _by_arm(laid, cut)


def _steepest(worth: np.ndarray, width: np.ndarray, money: float) -> np.ndarray:
    """Lay money on the pieces that are worth most, while they are worth anything."""
    order = np.argsort(-worth, axis=1, kind="stable")
    room = np.where(np.take_along_axis(worth, order, axis=1) > 0, width[order], 0.0)
    taken = np.clip(money - (np.cumsum(room, axis=1) - room), 0.0, room)
    laid = np.empty_like(worth)
    np.put_along_axis(laid, order, taken, axis=1)
    return laid


def _priced(slope: np.ndarray, width: np.ndarray, money: float, need: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Put a price on hours, by bisection, and mix the two fillings on either side of it so that the hours are just used up."""
    cheap = np.zeros(len(slope))
    with np.errstate(divide="ignore", invalid="ignore"):
        dear = np.where(need > 0, slope / need, 0.0).clip(min=0).max(axis=1) * (1 + 1e-9) + 1e-300
    for _ in range(_BISECTIONS):
        price = (cheap + dear) / 2
        used = (need * _steepest(slope - price[:, None] * need, width, money)).sum(axis=1)
        cheap, dear = np.where(used > left, price, cheap), np.where(used > left, dear, price)
    more, less = (_steepest(slope - price[:, None] * need, width, money) for price in (cheap, dear))
    used = [(need * laid).sum(axis=1) for laid in (more, less)]
    share = np.clip((left - used[1]) / np.maximum(used[0] - used[1], 1e-300), 0.0, 1.0)[:, None]
    return share * more + (1 - share) * less


def settle(cut: Pieces, budget: float, *, tail: float = 1.0) -> np.ndarray:
    """Find the one split with the largest mean value over the worst ``tail`` of draws, the limits kept in all of them.

    Parameters
    ----------
    cut : Pieces
    budget : float
    tail : float
        1 for the mean of all draws, 0.1 for the mean of the worst tenth.

    Returns
    -------
    ndarray, shape (n_arms,)

    Warns
    -----
    ConvergenceWarning
        The split may be improved by more than a millionth of the value.
    """
    size = max(float(np.abs(cut.base).max()), float(np.abs(cut.slope * cut.width).sum(axis=1).max()), 1e-300)
    rows, needs = [_worst(cut, cut.low, tail)], [cut.hours.mean(axis=0)]
    best, reached = cut.low, -np.inf
    for _ in range(_STEPS):
        split, promised = _program(cut, budget, rows, needs, size)
        split = _kept(cut, split, budget)
        row = _worst(cut, split, tail)
        value = row[0] + row[1] @ cut.laid(split)
        if value > reached:
            best, reached = split, value
        if promised - reached <= _CLOSE * size:
            return best
        rows.append(row)
        used = cut.hours @ split
        needs.append(cut.hours[int(np.argmax(used))])
    warnings.warn(f"a split that is better by up to {(promised - reached) / size:.1e} of the value may exist", ConvergenceWarning, stacklevel=3)  # fmt: skip
    return best


def tail_mean(values: np.ndarray, tail: float) -> float:
    """Mean of the lowest ``tail`` of values, the last one counted in part.

    Examples
    --------
    >>> tail_mean(np.array([4.0, 1.0, 3.0, 2.0]), 0.5), round(tail_mean(np.array([1.0, 2.0, 3.0, 4.0]), 0.375), 4)
    (1.5, 1.3333)
    """
    return float(np.asarray(values) @ _weights(values, tail))


def _weights(values: np.ndarray, tail: float) -> np.ndarray:
    order = np.argsort(values, kind="stable")
    weights = np.empty(len(values))
    weights[order] = np.clip(tail * len(values) - np.arange(len(values)), 0.0, 1.0)
    return weights / weights.sum()


def _worst(cut: Pieces, split: np.ndarray, tail: float) -> tuple[float, np.ndarray]:
    """Constant and slopes of the mean over the draws that are worst for a split: no split's tail mean lies above this plane."""
    weights = _weights(cut.value(split), tail)
    return float(weights @ cut.base), weights @ cut.slope


def _program(
    cut: Pieces, budget: float, rows: list[tuple[float, np.ndarray]], needs: list[np.ndarray], size: float
) -> tuple[np.ndarray, float]:
    """Best split against the planes so far, and what it would reach; in shares of the budget and of the size of the value."""
    from scipy.optimize import linprog

    n, hours = len(cut.width), np.array(needs)
    planes = np.array([[*(-slope * budget / size), 1.0] for _, slope in rows])
    limits = [[*np.ones(n), 0.0]]
    most = [(budget - cut.low.sum()) / budget]
    if np.isfinite(cut.capacity):
        unit = max(cut.capacity, 1e-300)
        limits += [[*(row[cut.arm] * budget / unit), 0.0] for row in hours]
        most += ((cut.capacity - hours @ cut.low) / unit).tolist()
    found = linprog([*np.zeros(n), -1.0], A_ub=np.vstack([planes, limits]), b_ub=[*(base / size for base, _ in rows), *most],
                    bounds=[*((0.0, width / budget) for width in cut.width), (None, None)], method="highs")  # fmt: skip
    return cut.low + budget * _by_arm(found.x[None, :n], cut)[0], float(found.x[n]) * size


def _kept(cut: Pieces, split: np.ndarray, budget: float) -> np.ndarray:
    """Draw a split back towards the lower bounds until every limit holds in every draw, to the last digit."""
    more = np.maximum(split - cut.low, 0.0)
    room = [budget - cut.low.sum(), *(cut.capacity - cut.hours @ cut.low)]
    wanted = [more.sum(), *(cut.hours @ more)]
    shares = [have / want for have, want in zip(room, wanted, strict=True) if want > have]
    return cut.low + more * min([1.0, *shares])


def _by_arm(laid: np.ndarray, cut: Pieces) -> np.ndarray:
    return np.stack([laid[:, cut.arm == i].sum(axis=1) for i in range(len(cut.low))], axis=1)
