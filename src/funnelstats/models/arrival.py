"""How long is it from the first stage to each later one, for those who get there? Times in successive stages, added up.

The time from entry to stage ``m`` is the sum of the times in the stages before it, each among those who advance.  Its distribution is
the convolution of theirs, provided that the time in one stage says nothing of the time in the next (a semi-Markov process; Lagakos,
Sommer & Zelen 1978, Biometrika 65:311-317).  Unlike the dates of those who have arrived, it is not shortened by leads that are
still on their way.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.stages import StageHazards
from funnelstats.distributions.hazard import incidence
from funnelstats.errors import DataError, Problem
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.ages import EXITS, AgeTable, unit_of
from funnelstats.models.timing import OPEN_SHARE

QUANTILES = {"median": 0.5, "p90": 0.9}


def time_to_stage(
    hazards: StageHazards, *, seed: int, by: Sequence[str] | None = None, draws: int = 400, interval: Interval = DEFAULT,
) -> pd.DataFrame:  # fmt: skip
    """Tabulate who gets to each stage, and the time from entering the first stage to entering it.

    Parameters
    ----------
    hazards : StageHazards
        From ``log.hazards(by=...)``.
    seed : int
        Of the redrawn exits.
    by : sequence of str, optional
        Segments to keep apart; those of ``hazards`` where not given, ``()`` for all together.
    draws : int
        How many times the exits at each age are drawn again from those at risk, for the bounds (parametric bootstrap).
    interval : Interval
        Rule of the bounds, a kind for draws.

    Returns
    -------
    DataFrame
        One row per segment and stage but the first: ``share`` (of those who enter the first stage, who get there within the ages
        watched in each stage), ``median`` and ``p90`` of the time among those who do, each with ``_lower`` and ``_upper``,
        ``interval``, ``unit``, ``note``. An exit is counted in the middle of its unit. Where nobody arrives the numbers are missing,
        and ``note`` says so.

    Examples
    --------
    >>> frame = pd.DataFrame({"stage": ["Lead", "Demo"], "age": [2, 4], "at_risk": [20, 10], "advanced": [10, 5], "lost": [10, 5],
    ...                       "censored": 0})
    >>> table = time_to_stage(StageHazards(frame=frame, stages=("Lead", "Demo", "Won")), seed=1)
    >>> table[["stage", "share", "median"]].to_numpy().tolist()
    [['Demo', 0.5, 2.5], ['Won', 0.25, 7.0]]
    """
    if draws < 20:
        raise DataError("the time to a stage", [Problem("draws", f"expected 20 or more, found {draws}")])
    table, rows, rng = AgeTable.of(hazards, by=by), [], np.random.default_rng([seed, 1])
    for segment, labels in enumerate(table.segments):
        share, times = _arrivals(table.at_risk[segment], table.exits[:, segment], rng, draws)
        for place, stage in enumerate(hazards.stages[1:]):
            row: dict[str, Any] = {
                **dict(zip(table.by, labels, strict=True)),
                "stage": stage,
                "share": share[0, place],
                "note": "",
            }
            row["share_lower"], row["share_upper"] = interval.of(share[1:, place])
            if share[0, place] > 0:
                for name in QUANTILES:
                    row[name] = times[name][0, place]
                    row[f"{name}_lower"], row[f"{name}_upper"] = interval.of(times[name][1:, place][share[1:, place] > 0])
            row["note"] = _note(table, segment, place, share[0, place], unit_of(hazards))
            rows.append(row)
    numbers = [f"{name}{end}" for name in ("share", *QUANTILES) for end in ("", "_lower", "_upper")]
    frame = pd.DataFrame(rows, columns=[*table.by, "stage", *numbers, "note"]).astype(dict.fromkeys(numbers, "Float64"))
    frame.insert(len(frame.columns) - 1, "interval", f"{interval}, exits redrawn {draws} times")
    frame.insert(len(frame.columns) - 1, "unit", unit_of(hazards))
    return frame


def _arrivals(
    at_risk: np.ndarray, exits: np.ndarray, rng: np.random.Generator, draws: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:  # fmt: skip
    """Share that arrives and quantiles of the time, shape (1 + draws, n_stages); the first row is that of the counts."""
    n = np.maximum(at_risk, 1)
    stays = n - exits.sum(axis=0)
    chances = np.stack([*exits, stays], axis=-1) / n[..., None]
    again = rng.multinomial(n, chances, size=(draws, *n.shape))[..., : len(EXITS)] / n[..., None]
    hazard = np.concatenate([chances[None, ..., : len(EXITS)], again])
    advanced, _, _ = incidence(hazard[..., 0], hazard[..., 1])
    density = np.diff(advanced, prepend=0.0, axis=-1)
    plateau = advanced[..., -1]
    n_stages, n_ages = at_risk.shape
    spectrum = np.fft.rfft(density / np.where(plateau > 0, plateau, 1)[..., None], n=n_stages * n_ages, axis=-1)
    times: dict[str, np.ndarray] = {name: np.zeros_like(plateau) for name in QUANTILES}
    so_far = np.ones_like(spectrum[:, 0])
    for place in range(n_stages):
        so_far = so_far * spectrum[:, place]
        cumulative = np.cumsum(np.fft.irfft(so_far, n=n_stages * n_ages, axis=-1), axis=-1)
        for name, level in QUANTILES.items():
            # an exit at age a happened between a and a + 1, on average in the middle
            times[name][:, place] = np.argmax(cumulative >= level - 1e-9, axis=-1) + (place + 1) / 2
    return np.cumprod(plateau, axis=-1), times


def _note(table: AgeTable, segment: int, place: int, share: float, unit: str) -> str:
    if not share > 0:
        return "nobody got there"
    for at in range(place + 1):
        age, at_risk, exits = table.rows(segment, at)
        still = float(np.prod(1 - exits.sum(axis=0) / at_risk))
        if still > OPEN_SHARE:
            return f"{still:.0%} are still open in {table.stages[at]} after {int(age[-1]) + 1} {unit}s: share and times may rise"
    return ""
