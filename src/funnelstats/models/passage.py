"""When will a deal that stands here be won, and when one that is yet to come? Chances by period, from a fit of competing exits."""

from collections.abc import Sequence

import numpy as np

from funnelstats.distributions.passage import advancing, arrived_by, convolved, from_age, from_entry
from funnelstats.models.exits_fit import CompetingExitsFit


def passages(
    fit: CompetingExitsFit, *, label: object = None, stage: np.ndarray, age: np.ndarray, ends: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Chances of being won in each of several periods from now on.

    Parameters
    ----------
    fit : CompetingExitsFit
    label : object, optional
        A group of the fit.
    stage, age : ndarray of int, shape (n,)
        Where open deals stand: place of the stage, and whole units spent there.
    ends : sequence of int
        Ends of the periods, in units from now, rising.

    Returns
    -------
    standing : ndarray, shape (n_draws, n, n_periods)
        Of the deals that stand there.
    coming : ndarray, shape (n_draws, n_periods, n_periods)
        Of a deal that comes in at any moment of one period, to be won in another.
    """
    leave, share, bands = fit.chances(label)
    far, stages = int(ends[-1]), len(fit.stages)
    out = np.zeros((len(leave), len(stage), len(ends)))
    rest = np.zeros((len(leave), far + 1))
    rest[:, 0] = 1.0
    for k in range(stages - 1, -1, -1):
        cells = np.flatnonzero(bands.stage == k)
        here = np.flatnonzero(np.asarray(stage) == k)
        # from the last band's first age on the chances no longer depend on age
        old = np.minimum(np.asarray(age)[here], bands.start[cells[-1]]).astype(int)
        ages = np.arange(max(int(old.max(initial=0)), 0) + far + 1)
        band = np.searchsorted(bands.start[cells], ages, side="right") - 1
        density, inside = advancing(leave[:, cells][:, band], share[:, cells][:, band])
        if len(here):
            distinct, back = np.unique(old, return_inverse=True)
            by = from_age(density, inside, arrived_by(rest, terms=stages - k), age=distinct, ends=ends)
            out[:, here] = by[:, back]
        rest = convolved(rest, density[:, : far + 1])
    coming = from_entry(arrived_by(rest, terms=stages + 1), ends=ends)
    return np.clip(np.diff(out, prepend=0.0, axis=-1), 0, None), np.clip(np.diff(coming, prepend=0.0, axis=-1), 0, None)
