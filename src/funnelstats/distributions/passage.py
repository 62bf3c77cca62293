"""When does an entity that passes through several stages arrive, given the stage and the age it has reached by now?

In stage ``k`` an entity leaves in unit ``a`` of its stay with chance ``q_k(a)`` and, if it leaves, advances with chance ``r_k(a)``: of
those who enter, ``f_k(a) = q_k(a) r_k(a) prod_{b<a} (1 - q_k(b))`` advance in that unit.  The time to the end is the sum of the
times in the stages (a semi-Markov process), each spread evenly over the unit in which it ends, so to the convolution of the ``f_k`` a sum of
uniform numbers is added (Irwin-Hall).  Being already ``a`` units in the stage divides by those who got that far.
"""

from collections.abc import Sequence

import numpy as np

#: Numbers held at once while ages are gone through.
_LARGEST = 8_000_000


def advancing(leave: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chances of advancing in each unit, and of being inside when it begins.

    Parameters
    ----------
    leave, share : ndarray, shape (..., n_ages)
        Chance of leaving in each unit, and share of the leaving who advance.

    Examples
    --------
    >>> advancing(np.array([0.5, 0.5]), np.array([1.0, 0.5]))
    (array([0.5  , 0.125]), array([1. , 0.5]))
    """
    inside = np.concatenate([np.ones_like(leave[..., :1]), np.cumprod(1 - leave, axis=-1)[..., :-1]], axis=-1)
    return inside * leave * share, inside


def convolved(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Distribution of a sum of whole numbers, cut off at the length of ``one``; the last axis counts from zero."""
    n = one.shape[-1]
    size = 2 * n
    both = np.fft.irfft(np.fft.rfft(one, n=size, axis=-1) * np.fft.rfft(other, n=size, axis=-1), n=size, axis=-1)
    return np.clip(both[..., :n], 0, None)


def uniform_sum(terms: int) -> np.ndarray:
    """Chances that a sum of uniform numbers lies between 0 and 1, 1 and 2, ...: Eulerian numbers over ``terms!``.

    Examples
    --------
    >>> uniform_sum(3)
    array([0.16666667, 0.66666667, 0.16666667])
    """
    weights = np.array([1.0])
    for m in range(2, terms + 1):
        place = np.arange(m)
        longer, shifted = np.append(weights, 0.0), np.insert(weights, 0, 0.0)
        weights = ((place + 1) * longer + (m - place) * shifted) / m
    return weights


def arrived_by(whole: np.ndarray, *, terms: int) -> np.ndarray:
    """Chance of having arrived by 0, 1, 2, ... units, when ``terms`` uniform numbers are added to whole units.

    Parameters
    ----------
    whole : ndarray, shape (..., n)
        Chances of 0, 1, 2, ... whole units.
    terms : int
        At least one.

    Returns
    -------
    ndarray, shape (..., n + 1)
    """
    weights = np.zeros(whole.shape[-1])
    parts = uniform_sum(terms)[: whole.shape[-1]]
    weights[: len(parts)] = parts
    return np.concatenate([np.zeros_like(whole[..., :1]), np.cumsum(convolved(whole, weights), axis=-1)], axis=-1)


def from_age(density: np.ndarray, inside: np.ndarray, rest: np.ndarray, *, age: np.ndarray, ends: Sequence[int]) -> np.ndarray:
    """Chance that who is ``age`` units in a stage has left it and passed the further ones by each of some moments.

    Parameters
    ----------
    density, inside : ndarray, shape (n_draws, n_ages)
        From :func:`advancing`, for ages up to the largest ``age`` plus the last of ``ends``.
    rest : ndarray, shape (n_draws, at least 1 + ends[-1])
        Chance that what follows the whole units spent in this stage takes no longer than 0, 1, 2, ... units.
    age : ndarray of int, shape (n,)
    ends : sequence of int
        Units from now, rising.

    Returns
    -------
    ndarray, shape (n_draws, n, len(ends))
    """
    far = int(ends[-1])
    after = np.zeros((rest.shape[0], far, len(ends)))
    for place, end in enumerate(ends):
        after[:, :end, place] = rest[:, 1 : end + 1][:, ::-1]
    where = np.asarray(age)[:, None] + np.arange(far)
    out = np.empty((density.shape[0], len(age), len(ends)))
    step = max(1, _LARGEST // max(where.size, 1))
    for begin in range(0, len(out), step):
        rows = slice(begin, begin + step)
        out[rows] = density[rows][:, where] @ after[rows] / inside[rows][:, age][..., None]
    return out


def from_entry(by: np.ndarray, *, ends: Sequence[int]) -> np.ndarray:
    """Chance that who comes in at any moment of one period has arrived by the end of another.

    Parameters
    ----------
    by : ndarray, shape (n_draws, 1 + ends[-1])
        From :func:`arrived_by`; one of its uniform numbers is the moment within the unit of coming in.
    ends : sequence of int
        Ends of the periods, from now.

    Returns
    -------
    ndarray, shape (n_draws, n_periods of coming in, n_periods of arriving)
    """
    starts = [0, *ends[:-1]]
    out = np.zeros((by.shape[0], len(ends), len(ends)))
    for came, (start, stop) in enumerate(zip(starts, ends, strict=True)):
        for here in range(came, len(ends)):
            left = ends[here] - np.arange(start, stop)
            out[:, came, here] = by[:, left].mean(axis=-1)
    return out
