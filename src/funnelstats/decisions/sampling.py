"""Is it worth collecting ``n`` more leads before deciding? The value of data yet to come, and the number that pays best.

Of ``n`` further leads ``y`` will be won; how likely each ``y`` is, and what would then be believed, follows from the draws of the
rate: ``E(NB_a | y)`` weighs the draws by ``Binomial(y | n, rate)`` (conjugate where the draws are of a beta posterior).  The value is
``sum_y p(y) max_a E(NB_a | y) - max_a E(NB_a)``, summed over every ``y``: it is never negative, never falls with ``n`` and never
exceeds the value of knowing the rate (Raiffa & Schlaifer 1961; Ades, Lu & Claxton 2004, Med. Decis. Making 24:207).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import gammaln, xlog1py, xlogy

from funnelstats.decisions.information import (
    Actions,
    Information,
    actions,
    conditional_means,
    enbs,
    evppi,
    information,
    known_exactly,
)
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, ClosedForm, Estimate
from funnelstats.interval import DEFAULT

_CHUNK = 2_000_000


def evsi(net: Actions, rate: Estimate, *, n: int, about: str = "") -> Information:
    """Expected value of ``n`` more settled leads of a segment.

    Parameters
    ----------
    net : Estimate or mapping
        Net benefit of each action in joint draws, as for :func:`~funnelstats.decisions.information.evpi`.
    rate : Estimate
        Draws of the conversion rate of the segment where the leads would be collected, paired with those of the net benefits.
    n : int
        Further leads whose outcome would be known.
    about : str
        In words; ``n`` more of the rate's description where not given.

    Returns
    -------
    Information
        ``others`` are the probabilities of what would then be chosen; ``gain`` is over the outcomes that the leads may have.

    Examples
    --------
    >>> rate = Estimate.of(np.random.default_rng(1).beta(4, 16, size=2000), description="rate of East")
    >>> net = {"go East": rate * 1000 - 190, "stay": 0.0}
    >>> worth = [evsi(net, rate, n=n).value for n in (10, 100, 1000)]
    >>> worth == sorted(worth)
    True
    """
    problems = []
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        problems.append(Problem("n", f"expected a whole number of leads, at least 1, found {n!r}"))
    if rate.draws.dims != SAMPLE_DIMS:
        problems.append(
            Problem("rate", f"expected one rate, found one for each of {rate.draws.dims[2:]}", "pick one with .sel()")
        )
    elif not bool(((rate.draws >= 0) & (rate.draws <= 1)).all()):
        problems.append(Problem("rate", "expected shares from 0 to 1"))
    benefit, unit = actions(net)
    if not problems and rate.draws.shape != benefit.shape[:2]:
        problems.append(
            Problem("rate", f"expected draws paired with the net benefits {benefit.shape[:2]}, found {rate.draws.shape}")
        )
    if problems:
        raise DataError("the value of more leads", problems)
    theta = rate.draws.values.ravel()
    given = conditional_means(benefit, theta[:, None])
    names = [str(name) for name in benefit["action"].values]
    weight, means = _outcomes(theta, given.values.reshape(theta.size, -1), int(n))
    now = int(np.argmax(weight @ means))
    gain = means.max(axis=1) - means[:, now]
    chosen = np.where(gain > 0, means.argmax(axis=1), now)
    shares = pd.Series([float(weight[chosen == i].sum()) for i in range(len(names))], index=pd.Index(names, name="action"))
    words = about or f"{n:,} more trials of the {rate.description}"
    top = known_exactly(given, benefit, unit, about=words)
    free = information(given, unit, about=words).value
    gain = gain * (top.value / free if free > 0 else 1.0)
    description = f"gain from knowing {words} before choosing {names[now]}"
    return replace(top, gain=_weighted(gain, weight, benefit.shape[:2], unit, description), action=names[now], others=shares)


def sampling_table(
    net: Actions, rate: Estimate, *, n: Sequence[int], cost_each: float, cost: float = 0.0, decisions: float = 1.0
) -> pd.DataFrame:
    """Value and net benefit of more leads, for several numbers of them.

    Parameters
    ----------
    net, rate
        As for :func:`evsi`.
    n : sequence of int
        Numbers of further leads.
    cost_each, cost : float
        Of one lead, and of collecting at all.
    decisions : float
        How many decisions of this size the leads serve.

    Returns
    -------
    DataFrame
        Index ``n``; ``evsi``, ``evppi`` (the rate known exactly, the ceiling), ``p_change``, ``cost``, ``enbs``, ``worth_it`` and ``unit``.
    """
    ceiling = evppi(net, rate)
    rows = []
    for size in n:
        found = evsi(net, rate, n=size)
        price = cost + cost_each * size
        left = float(enbs(found, cost=price, decisions=decisions).point)
        rows.append({"n": int(size), "evsi": found.value, "evppi": ceiling.value, "p_change": found.p_change, "cost": price,
                     "enbs": left, "worth_it": left > 0, "unit": found.gain.unit})  # fmt: skip
    return pd.DataFrame(rows).set_index("n")


def _outcomes(theta: np.ndarray, means: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """For every number won: its probability, and what each action is then expected to bring."""
    y = np.arange(n + 1)
    ways = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    weight, sums = np.empty(n + 1), np.empty((n + 1, means.shape[1]))
    for part in np.array_split(y, max(1, -(-(n + 1) * theta.size // _CHUNK))):
        chance = np.exp(ways[part, None] + xlogy(part[:, None], theta) + xlog1py(n - part[:, None], -theta))
        weight[part] = chance.mean(axis=1)
        sums[part] = chance @ means / theta.size
    seen = weight > 0
    return weight[seen] / weight[seen].sum(), sums[seen] / weight[seen, None]


def _weighted(gain: np.ndarray, weight: np.ndarray, shape: tuple[int, ...], unit: str, description: str) -> Estimate:
    """The distribution of a gain over weighted outcomes: evenly spaced quantiles for draws, the mean by the sum itself."""
    order = np.argsort(gain, kind="stable")
    steps = np.cumsum(weight[order])
    places = (np.arange(np.prod(shape)) + 0.5) / np.prod(shape)
    draws = gain[order][np.searchsorted(steps, places * steps[-1]).clip(max=len(gain) - 1)].reshape(shape)
    lower, upper = DEFAULT.of(draws.ravel())
    form = ClosedForm(xr.DataArray(float(weight @ gain)), xr.DataArray(lower), xr.DataArray(upper), DEFAULT)
    return Estimate(draws=xr.DataArray(draws, dims=SAMPLE_DIMS), unit=unit, description=description, closed_form=form)
