"""How sure can one be of a stage's rate, and of the whole funnel's? Joint draws, with bounds by formula attached.

Binomial with Jeffreys' prior: ``rate | k of n ~ Beta(k + 1/2, n - k + 1/2)``; shown bounds are Wilson's (1927) unless another
rule is asked for (Brown, Cai & DasGupta 2001, Statistical Science 16:101, recommend both). Steps are conditional on having
entered, hence independent given the counts: the overall rate is the product of their draws, never of their means.
"""

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, ClosedForm, Estimate, NotIdentified
from funnelstats.interval import Interval
from funnelstats.models.rate_table import WILSON, warn_immature

_JEFFREYS = 0.5


def step_rates(
    counts: StageCounts, *, seed: int = 0, draws: int = 4000, chains: int = 1, interval: Interval = WILSON
) -> Estimate | NotIdentified:
    """Draw the rate of every step from its posterior, with bounds by formula attached.

    Parameters
    ----------
    counts : StageCounts
    seed : int
        Together with the full content of ``counts`` it decides the draws: other counts, other and independent draws.
    draws, chains : int
        Draws of each chain, and chains; they are independent, the chains only match the shape of a sampled fit.
    interval : Interval
        Rule of the shown bounds.

    Returns
    -------
    Estimate, dims (chain, draw, [segment], stage)
        ``stage`` is the stage left. The segment dim is named as the column; two and more columns make one dim ``segment``
        with labels ``"Ann | web"``. NotIdentified, with the cells, where a stage was entered by nobody.

    Examples
    --------
    >>> counts = StageCounts.of({"Lead": 200, "Opportunity": 50, "Won": 12})
    >>> f"{step_rates(counts).sel(stage='Lead'):.1%}"
    '25.0% (90% Wilson interval 20.3% to 30.3%)'
    """
    warn_immature(counts)
    stages, last = counts.stages[:-1], counts.stages[-1]
    so_far = " so far" if counts.immature.any() else ""
    description = f"share of those who entered a stage that advanced{so_far}, by stage left{as_of_words(counts)}"
    empty = counts.frame[(counts.frame["entered"] == 0) & (counts.frame["stage"] != last)]
    if len(empty) or not len(counts.frame):
        return NotIdentified(description, _empty_cells(counts, empty))
    _, values = draw_steps(counts, seed, draws, chains)
    won, trials = (_cells(counts, name)[:, :-1] for name in ("advanced", "entered"))
    return _estimate(counts, values, won, trials, interval, description, stage=list(stages))


def overall_rate(
    counts: StageCounts, *, seed: int = 0, draws: int = 4000, chains: int = 1, interval: Interval = WILSON
) -> Estimate | NotIdentified:
    """Estimate the share of all who entered the first stage that reached the last.

    Draws are products of the same joint draws that :func:`step_rates` gives for this seed; point and bounds by formula are
    those of ``won / entered first``. A later stage that nobody reached counts as passed, the most it could be, so that the
    draws never claim less than is known.

    Parameters
    ----------
    counts, seed, draws, chains, interval
        As for :func:`step_rates`.

    Returns
    -------
    Estimate, dims (chain, draw, [segment])
        NotIdentified where nobody entered the first stage. The description says "so far" where a step is immature.

    Examples
    --------
    >>> print(overall_rate(StageCounts.of({"Lead": 200, "Opportunity": 50, "Won": 12})))
    6.0% (90% Wilson interval 3.8% to 9.4%)
    """
    warn_immature(counts)
    first, last = counts.stages[0], counts.stages[-1]
    so_far = " so far" if counts.immature.any() else ""
    description = f"{last}{so_far}, of all who entered {first}{as_of_words(counts)}"
    empty = counts.frame[(counts.frame["entered"] == 0) & (counts.frame["stage"] == first)]
    if len(empty) or not len(counts.frame):
        return NotIdentified(description, _empty_cells(counts, empty))
    trials, values = draw_steps(counts, seed, draws, chains)
    reached = np.where(trials > 0, values, 1.0).prod(axis=-1)
    entered = _cells(counts, "entered")
    return _estimate(counts, reached, entered[:, -1], entered[:, 0], interval, description)


def decided_rate(
    counts: StageCounts, *, seed: int = 0, draws: int = 4000, chains: int = 1, interval: Interval = WILSON
) -> Estimate | NotIdentified:
    """Estimate the share won of those whose fate is known, ``won / (won + lost)``: a win rate, not a conversion rate.

    It leaves the open ones out, so it leans towards whichever exit is quicker, and flatters who never records a loss.

    Parameters
    ----------
    counts, seed, draws, chains, interval
        As for :func:`step_rates`.

    Returns
    -------
    Estimate, dims (chain, draw, [segment])
        NotIdentified where nobody is decided.

    Examples
    --------
    >>> print(decided_rate(StageCounts.of({"Lead": 200, "Opportunity": 50, "Won": 12})).description)
    win rate of decided: Won, of all who were won or lost at any stage
    """
    last = counts.stages[-1]
    description = f"win rate of decided: {last}, of all who were won or lost at any stage{as_of_words(counts)}"
    won = _cells(counts, "entered")[:, -1]
    trials = won + _cells(counts, "lost").sum(axis=1)
    if not len(trials) or (trials == 0).any():
        none = counts.frame[counts.frame["stage"] == last][trials == 0]
        return NotIdentified(description, _empty_cells(counts, none, "nobody has been won or lost"))
    values = _draw(counts, "decided", won, trials, seed, draws, chains)
    return _estimate(counts, values, won, trials, interval, description)


# -- how ---------------------------------------------------------------------------------------------------------
def _cells(counts: StageCounts, column: str) -> np.ndarray:
    """Counts as an array, shape (n_segments, n_stages)."""
    return np.asarray(counts.frame[column]).reshape(-1, len(counts.stages))


def draw_steps(counts: StageCounts, seed: int, draws: int, chains: int) -> tuple[np.ndarray, np.ndarray]:
    """Trials, shape (n_segments, n_steps), and Jeffreys draws, shape (chains, draws, n_segments, n_steps)."""
    won, trials = (_cells(counts, name)[:, :-1] for name in ("advanced", "entered"))
    return trials, _draw(counts, "steps", won, trials, seed, draws, chains)


def _draw(
    counts: StageCounts, purpose: str, won: np.ndarray, trials: np.ndarray, seed: int, draws: int, chains: int
) -> np.ndarray:
    problems = [Problem(name, f"expected a whole number of at least {least}, found {value!r}")
                for name, value, least in (("seed", seed, 0), ("draws", draws, 1), ("chains", chains, 1))
                if isinstance(value, bool) or not hasattr(value, "__index__") or value < least]  # fmt: skip
    if problems:
        raise DataError("the draws of a rate", problems)
    content = np.frombuffer(bytes.fromhex(counts.digest), dtype=">u4")
    rng = np.random.default_rng([seed, *content.tolist(), *purpose.encode()])
    return rng.beta(won + _JEFFREYS, trials - won + _JEFFREYS, size=(chains, draws, *won.shape))


def _estimate(
    counts: StageCounts, values: np.ndarray, won: np.ndarray, trials: np.ndarray, interval: Interval, description: str,
    **coords: list[str],
) -> Estimate:  # fmt: skip
    """Join draws, shape (chains, draws, n_segments, ...), with the formula's point and bounds, shape (n_segments, ...)."""
    where = {**segment_labels(counts), **coords}
    shape = tuple(map(len, where.values()))
    lower, upper = interval.of_counts(won, trials)
    point, low, high = (
        xr.DataArray(np.reshape(part, shape), dims=tuple(where), coords=where) for part in (won / trials, lower, upper)
    )
    labelled = xr.DataArray(values.reshape(*values.shape[:2], *shape), dims=(*SAMPLE_DIMS, *where), coords=where)
    rule = Interval(prob=interval.prob)
    return Estimate(draws=labelled, description=description, interval=rule, closed_form=ClosedForm(point, low, high, interval))


def segment_labels(counts: StageCounts) -> dict[str, list[str]]:
    """Name the dim of segments and its labels; empty for totals."""
    if not counts.by:
        return {}
    rows = counts.frame.iloc[:: len(counts.stages)][list(counts.by)]
    name = counts.by[0] if len(counts.by) == 1 else "segment"
    return {name: [" | ".join(map(str, row)) for row in rows.itertuples(index=False)]}


def _empty_cells(counts: StageCounts, rows: pd.DataFrame, what: str = "nobody entered") -> str:
    if not len(counts.frame):
        return "nobody entered the funnel"
    names = [" | ".join(map(str, row)) for row in rows[[*counts.by, "stage"]].itertuples(index=False)]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what} {', '.join(names[:3])}{more}"


def as_of_words(counts: StageCounts) -> str:
    """End of observation as the tail of a description; empty for counts without dates."""
    return f", as of {counts.window.as_of.date()}" if counts.window else ""
