"""How many purchases are to come, each worth less the later it is? Increments of expectations, once for each distinct history."""

from typing import Any

import numpy as np

from funnelstats.distributions.histories import Histories
from funnelstats.models.buying import BuyingFit


def discounted_while_alive(
    fit: BuyingFit[Any], h: Histories, *, ends: np.ndarray, factors: np.ndarray, values: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Discounted purchases of customers who are still alive.

    While alive, what is to come depends on frequency and age alone, and there are far fewer such pairs than histories.

    Parameters
    ----------
    fit : BuyingFit
    h : Histories
    ends : ndarray, shape (n_periods,)
        Ends of the periods, in the data's unit of time.
    factors : ndarray, shape (n_periods,)
        Discount factor of each.
    values : dict of str to ndarray, shape (k, 1)
        Draws of the parameters.

    Returns
    -------
    purchases : ndarray, shape (k, n_pairs)
    pair : ndarray of int, shape (n_rows,)
        The pair of each row of ``h``.
    """
    pairs, pair = np.unique(np.column_stack([h.x, h.T]), axis=0, return_inverse=True)
    distinct = Histories.of(pairs[:, 0], np.where(pairs[:, 0] > 0, pairs[:, 1], 0.0), pairs[:, 1])
    total, before = np.zeros(()), np.zeros(())
    for end, factor in zip(ends, factors, strict=True):
        now = fit.bought_once(distinct, float(end), values)
        total, before = total + factor * (now - before), now
    return total[:, distinct.row], pair.ravel()
