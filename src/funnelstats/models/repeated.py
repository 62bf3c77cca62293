"""What would the funnel have looked like another time, and is the real one any different? Repeated counts and p-values."""

import numpy as np
import pandas as pd

from funnelstats.data.stages import StageCounts
from funnelstats.interval import Interval
from funnelstats.models.cells import CellTable


def repeat_counts(counts: StageCounts, rates: np.ndarray, *, trials: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Walk the entrants of the first stage through the funnel once more.

    Parameters
    ----------
    counts : StageCounts
        Its entrants of the first stage are kept, and at every stage the shares of those too young to be counted as trials and,
        among those who did not advance, of the undecided.
    rates : ndarray, shape (n_cells, n_steps)
        Chance of advancing.
    trials : ndarray, shape (n_cells, n_steps)
        Trials of the real data.
    rng : Generator

    Returns
    -------
    DataFrame
        As ``counts.frame``.
    """
    frame, size = counts.frame.copy(), len(counts.stages)
    old = {name: frame[name].to_numpy().reshape(-1, size) for name in ("entered", "advanced", "lost", "open", "maturing")}
    new = {name: np.zeros_like(values) for name, values in old.items()}
    new["entered"][:, 0] = old["entered"][:, 0]
    for step in range(size - 1):
        entered = new["entered"][:, step]
        outside = old["entered"][:, step] - trials[:, step]
        untried = np.round(entered * _share(outside, old["entered"][:, step])).astype(np.int64)
        advanced = rng.binomial(entered - untried, rates[:, step])
        left = entered - untried - advanced
        undecided = old["open"][:, step] - outside  # tried, not advanced, and open all the same
        stale = np.round(left * _share(undecided, undecided + old["lost"][:, step])).astype(np.int64)
        opened = untried + stale
        maturing = old["maturing"][:, step]
        guessed = np.round(opened * _share(maturing, old["open"][:, step])).astype(np.int64)
        young = np.where(outside == maturing, untried, guessed)  # what is not tried because it is young stays so
        for name, values in (("advanced", advanced), ("lost", left - stale), ("open", opened), ("maturing", young)):
            new[name][:, step] = values
        new["entered"][:, step + 1] = advanced
    return frame.assign(**{name: values.ravel() for name, values in new.items()})


def surprise(table: CellTable, repeated: np.ndarray, *, interval: Interval) -> pd.DataFrame:
    """Compare data with repeated data.

    Parameters
    ----------
    table : CellTable
        The data.
    repeated : ndarray of int, shape (n_draws, n_cells, n_steps)
        Wins of repeated data, out of the same trials.
    interval : Interval
        Of the bounds.

    Returns
    -------
    DataFrame
        See :meth:`~funnelstats.models.hierarchical_fit.HierarchicalFit.check`.
    """
    rows = {}
    for step, stage in enumerate(table.steps):
        trials, seen, again = table.trials[:, step], table.wins[:, step], repeated[..., step]
        if not trials.any():
            continue
        rows[stage, "overall rate"] = (seen.sum() / trials.sum(), again.sum(axis=-1) / trials.sum())
        for at, group in enumerate(table.groups):
            own = np.eye(len(table.labels[group]))[table.level[at]]
            if own.shape[1] > 1:
                rows[stage, f"spread between {group}"] = (_spread(seen @ own, trials @ own), _spread(again @ own, trials @ own))
    index = pd.MultiIndex.from_tuples(list(rows), names=["stage", "statistic"])
    bounds = [interval.of(again) for _, again in rows.values()]
    return pd.DataFrame({"observed": [float(seen) for seen, _ in rows.values()],
                         "expected": [float(again.mean()) for _, again in rows.values()],
                         "lower": [float(low) for low, _ in bounds], "upper": [float(high) for _, high in bounds],
                         "p": [_share_as_large(seen, again) for seen, again in rows.values()], "interval": str(interval)}, index=index)  # fmt: skip


def _spread(wins: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Standard deviation of the rates of levels, weighted by their trials."""
    tried = trials > 0
    wins, trials = wins[..., tried], trials[tried]
    apart = wins / trials - wins.sum(axis=-1, keepdims=True) / trials.sum()
    return np.asarray(np.sqrt((trials * apart**2).sum(axis=-1) / trials.sum()))


def _share_as_large(seen: float, again: np.ndarray) -> float:
    """Share of repeated values above the one seen, and half of those equal to it: counts are whole numbers and do tie."""
    close = np.isclose(again, seen, rtol=1e-12, atol=0)
    return float(((again > seen) & ~close).mean() + close.mean() / 2)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)
