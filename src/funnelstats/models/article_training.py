"""What do a hundred steps of Adam reach on the article's table, and how many would it take? The listing's training, in NumPy.

Kingma & Ba (2015), ICLR, with the listing's settings: full batch, mean squared error, step 0.01, single precision, weights and
bias uniform within ``1/sqrt(2)`` as its toolkit starts them.  A parameter moves by about one step size a step, so after a
hundred steps none has moved by more than one, and an intercept of 200 is far away.  Least squares needs no step at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from funnelstats.errors import DataError, Problem
from funnelstats.models.article import chapter5_line, training_table

START = 1 / np.sqrt(2)
BETAS, EPS = (0.9, 0.999), 1e-8
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Training:
    """Runs from several starts.

    Attributes
    ----------
    table : DataFrame
        One row per seed: ``seed``, ``start_loss``, ``loss``, ``w_L``, ``w_M``, ``bias``, ``slope`` (100 w_L + w_M, all that the
        table identifies), ``moved`` (largest change of a parameter); in the units of the data.
    losses : DataFrame
        Columns ``step`` and one per seed: the loss on the way.
    steps : int
    standardised : bool
        Whether inputs and target were centred and scaled first.
    """

    table: pd.DataFrame
    losses: pd.DataFrame
    steps: int
    standardised: bool

    def quantiles(self, column: str, *, probs: Sequence[float] = QUANTILES) -> pd.Series:
        """Quantiles of one column over the seeds."""
        return pd.Series(np.quantile(self.table[column], probs), index=list(probs), name=column)

    def predict(self, M: float, *, leads_per_spend: float = 100.0) -> np.ndarray:
        """Return the prediction of each run at a level of marketing, with the table's leads for it."""
        table = self.table
        return np.asarray(table["w_L"] * leads_per_spend * M + table["w_M"] * M + table["bias"])


def train(
    seeds: Sequence[int] = tuple(range(100)), *, steps: int = 100, lr: float = 0.01, standardised: bool = False, record: int = 1
) -> Training:
    """Run the listing's training from one start per seed, all of them at once.

    Parameters
    ----------
    seeds : sequence of int
        One start each.
    steps : int
        Full-batch steps ("epochs").
    lr : float
        Step size of Adam.
    standardised : bool
        Centre and scale inputs and target before training, and report in the units of the data.
    record : int
        Keep the loss of every so many steps.

    Returns
    -------
    Training

    Examples
    --------
    >>> found = train(range(20), steps=100)
    >>> bool((found.table["bias"].abs() < 2).all()), bool((found.table["loss"] > 4000).all())
    (True, True)
    """
    if len(seeds) == 0 or steps < 1 or not lr > 0 or record < 1:
        raise DataError(
            "the training",
            [Problem("seeds, steps, lr, record", f"expected positive, found {len(seeds)}, {steps}, {lr}, {record}")],
        )
    X, y, centre, spread = _data(standardised)
    start = np.stack([np.random.default_rng(seed).uniform(-START, START, 3) for seed in seeds]).astype(np.float32)
    theta, first, second = start.copy(), np.zeros_like(start), np.zeros_like(start)
    kept = [(0, _loss(theta, X, y))]
    gram, cross = (2 / len(y)) * (X.T @ X), (2 / len(y)) * (X.T @ y)
    for step in range(1, steps + 1):
        gradient = theta @ gram - cross
        first = np.float32(BETAS[0]) * first + np.float32(1 - BETAS[0]) * gradient
        second = np.float32(BETAS[1]) * second + np.float32(1 - BETAS[1]) * gradient**2
        size = np.float32(lr / (1 - BETAS[0] ** step))
        theta = theta - size * first / (np.sqrt(second) / np.float32(np.sqrt(1 - BETAS[1] ** step)) + np.float32(EPS))
        if step % record == 0 or step == steps:
            kept.append((step, _loss(theta, X, y)))
    weights = theta.astype(float)
    weights[:, :2] *= spread[2] / spread[:2]
    bias = centre[2] + weights[:, 2] * spread[2] - weights[:, :2] @ centre[:2]
    scale = spread[2] ** 2
    table = pd.DataFrame(
        {
            "seed": list(seeds),
            "start_loss": kept[0][1] * scale,
            "loss": kept[-1][1] * scale,
            "w_L": weights[:, 0],
            "w_M": weights[:, 1],
            "bias": bias,
            "slope": 100 * weights[:, 0] + weights[:, 1],
            "moved": np.abs(theta - start).max(axis=1),
        }
    )
    losses = pd.DataFrame([loss * scale for _, loss in kept], columns=[f"seed {seed}" for seed in seeds])
    losses.insert(0, "step", [step for step, _ in kept])
    return Training(table=table, losses=losses, steps=steps, standardised=standardised)


def broadcast_trap() -> pd.DataFrame:
    """Loss of two answers when the target keeps shape (5,) against predictions of shape (5, 1): the difference is 5 by 5.

    Returns
    -------
    DataFrame
        Rows for the true line and for the constant mean: ``right_loss``, ``broadcast_loss``. The broadcast loss prefers the
        constant.
    """
    frame = training_table().frame
    spend, revenue = frame["M"].to_numpy(), frame["R"].to_numpy()
    line = chapter5_line()
    answers = {
        "true line": float(line.slope) * spend + float(line.intercept),
        "mean of R everywhere": np.full(len(revenue), revenue.mean()),
    }
    rows = [
        (name, float(np.mean((fit - revenue) ** 2)), float(np.mean((fit[:, None] - revenue) ** 2)))
        for name, fit in answers.items()
    ]
    return pd.DataFrame(rows, columns=["answer", "right_loss", "broadcast_loss"])


def _data(standardised: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``[L, M, 1]`` and ``R`` in single precision, with centre and spread of L, M and R."""
    values = training_table().frame[["L", "M", "R"]].to_numpy()
    centre, spread = (values.mean(axis=0), values.std(axis=0)) if standardised else (np.zeros(3), np.ones(3))
    scaled = (values - centre) / spread
    X = np.column_stack([scaled[:, :2], np.ones(len(values))]).astype(np.float32)
    return X, scaled[:, 2].astype(np.float32), centre, spread


def _loss(theta: np.ndarray, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(np.mean((theta @ X.T - y).astype(float) ** 2, axis=1))
