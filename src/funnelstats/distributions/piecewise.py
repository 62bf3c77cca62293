"""What becomes of an entity that has spent some time in a stage, when the chances of leaving are constant over bands of ages?

In band ``b`` an entity leaves in a unit of time with chance ``q_b``; who leaves advances with chance ``r_b`` and is lost otherwise.
Of those inside at the start of ``m`` units in one band, ``(1 - q)^m`` stay, so no sum over ages is needed.  The last band has no end.
"""

from typing import Any

import numpy as np


def exits_between(
    leave: Any, share: Any, *, starts: Any, age: Any, until: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Chances of having advanced, of having been lost and of being inside at ``until``, for who is inside at ``age``.

    Parameters
    ----------
    leave, share : array_like, shape (..., n_bands)
        Chance of leaving in a unit of time, and the share of the leaving who advance.
    starts : array_like, shape (n_bands,)
        First age of each band, from 0.
    age, until : array_like, shape (n,)
        Whole ages; ``until`` may be infinite.

    Returns
    -------
    advanced, lost, inside : ndarray, shape (..., n)
        They add up to one.

    Examples
    --------
    >>> advanced, lost, inside = exits_between([0.5, 0.25], [1.0, 0.0], starts=[0, 1], age=[0, 0, 1], until=[1, 2, np.inf])
    >>> advanced, lost, inside
    (array([0.5, 0.5, 0. ]), array([0.   , 0.125, 1.   ]), array([0.5  , 0.375, 0.   ]))
    """
    leave, share = np.asarray(leave, dtype=float)[..., None, :], np.asarray(share, dtype=float)[..., None, :]
    starts = np.asarray(starts, dtype=float)
    stops = np.append(starts[1:], np.inf)
    age, until = (np.asarray(values, dtype=float)[:, None] for values in np.broadcast_arrays(age, until))
    spent = np.clip(np.minimum(until, stops) - np.maximum(age, starts), 0, None)
    with np.errstate(divide="ignore", invalid="ignore"):  # nobody leaves, or everybody does: 0 x infinity is nothing
        stays = np.where((spent > 0) & (leave > 0), spent * np.log1p(-leave), 0.0)
    before = np.concatenate([np.zeros_like(stays[..., :1]), np.cumsum(stays, axis=-1)[..., :-1]], axis=-1)
    leaving = np.exp(before) * -np.expm1(stays)
    return (leaving * share).sum(axis=-1), (leaving * (1 - share)).sum(axis=-1), np.exp(stays.sum(axis=-1))
