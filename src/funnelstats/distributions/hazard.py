"""How do the chances of leaving a stage add up over its ages when there are two ways out (competing exits)?

At age ``k`` an entity still in the stage advances with probability ``h_k`` and is lost with probability ``g_k``; it stays
with ``1 - h_k - g_k``.  ``S_k = prod_{j<k} (1 - h_j - g_j)`` and the incidence of advancing by the end of age ``k`` is
``sum_{j<=k} S_j h_j`` (Aalen & Johansen 1978, Scand. J. Statist. 5:141-150, in discrete time).
"""

from typing import Any

import numpy as np


def incidence(advance: Any, lose: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cumulative incidence of two competing exits and the share still inside.

    Parameters
    ----------
    advance, lose : array_like, shape (..., n_ages)
        Probability of each exit at each age, given that the entity is still inside.

    Returns
    -------
    advanced, lost, inside : ndarray, shape (..., n_ages)
        Probabilities by the end of each age; they add up to one.

    Examples
    --------
    >>> advanced, lost, inside = incidence([0.5, 0.5], [0.25, 0.5])
    >>> advanced, lost, inside
    (array([0.5  , 0.625]), array([0.25 , 0.375]), array([0.25, 0.  ]))
    """
    advance, lose = np.asarray(advance, dtype=float), np.asarray(lose, dtype=float)
    inside = np.cumprod(1 - advance - lose, axis=-1)
    before = np.concatenate([np.ones_like(inside[..., :1]), inside[..., :-1]], axis=-1)
    return np.cumsum(before * advance, axis=-1), np.cumsum(before * lose, axis=-1), inside
