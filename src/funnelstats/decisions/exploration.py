"""What does it cost to find out which offer is best, and which way of finding out costs least? Regret in a world that is known.

Three ways to choose the next offer: ``uniform`` tries all alike for ever, ``greedy`` shows what looks best so far, ``thompson`` draws once from the posterior
and shows the best of that draw (Thompson 1933, Biometrika 25:285-294; Chapelle & Li 2011, NeurIPS 24:2249-2257).  *Regret* is the value forgone against
always showing the best.  It grows in proportion to the visits where one never stops trying the worse, or is stuck with it, and like their logarithm at best
(Lai & Robbins 1985, Advances in Applied Mathematics 6:4-22).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate

Policy = Literal["thompson", "greedy", "uniform"]
#: Visits at which regret is written down.
_POINTS = 60


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Exploration:
    """Regret of each way of choosing.

    Attributes
    ----------
    regret : Estimate, dims (chain, draw, policy, visits)
        Value forgone up to a visit; one draw for each repetition of the world.
    chosen : DataFrame
        Share of visits at which each offer was shown, policy by offer.
    best : str
        The offer that is best in truth.
    floor : float
        Slope of regret in the logarithm of visits that no way of choosing can undercut for ever (Lai & Robbins).
    """

    regret: Estimate
    chosen: pd.DataFrame
    best: str
    floor: float

    def table(self) -> pd.DataFrame:
        """Regret at the last visit by policy, with its interval over repetitions, and the share of visits given to the best offer."""
        last = self.regret.draws["visits"].values[-1]
        frame = self.regret.sel(visits=last).to_frame()
        return frame.rename(columns={"mean": "regret"}).assign(visits=int(last), best=self.chosen[self.best])


def simulate_exploration(
    rates: Mapping[str, float], *, visits: int, seed: int, values: Mapping[str, float] | None = None, repetitions: int = 200,
    policies: Sequence[Policy] = get_args(Policy), unit: str = "", batch: int = 1,
) -> Exploration:  # fmt: skip
    """Play ways of choosing in a world whose rates are known.

    Parameters
    ----------
    rates : mapping of str to float
        Offer -> true probability that it is taken.
    visits, repetitions : int
        Length of each world, and how many worlds.
    seed : int
    values : mapping of str to float, optional
        Offer -> amount when taken, known to the chooser; one for each where missing.
    policies : sequence of {"thompson", "greedy", "uniform"}
    unit : str
        Currency of the values.
    batch : int
        Visits served before the outcomes of any of them are known, as with a campaign sent once a week.

    Raises
    ------
    DataError
        Rates outside nought to one, fewer than two offers, unknown policies: all at once.

    Examples
    --------
    >>> play = simulate_exploration({"A": 0.3, "B": 0.2, "C": 0.1}, visits=2000, seed=1, repetitions=60)
    >>> play.table()["regret"].idxmin()
    'thompson'
    """
    offers = list(rates)
    truth, worth = (
        np.array([rates[name] for name in offers], dtype=float),
        np.array([(values or {}).get(name, 1.0) for name in offers], dtype=float),
    )
    _refuse(offers, truth, worth, visits, repetitions, policies, batch)
    gain = truth * worth
    at = np.unique(np.linspace(1, visits, min(_POINTS, visits)).round().astype(int))
    runs = [
        _play(policy, truth, worth, visits, repetitions, batch, np.random.default_rng([seed, place]))
        for place, policy in enumerate(policies)
    ]
    regret = np.stack([np.cumsum(gain.max() - gain[chosen], axis=1)[:, at - 1] for chosen in runs], axis=1)
    share = [[(chosen == place).mean() for place in range(len(offers))] for chosen in runs]
    draws = xr.DataArray(
        regret[None], dims=("chain", "draw", "policy", "visits"), coords={"policy": list(policies), "visits": at}
    )
    return Exploration(
        regret=Estimate(draws=draws, unit=unit, description="value forgone against always showing the best offer"),
        chosen=pd.DataFrame(share, index=pd.Index(policies, name="policy"), columns=pd.Index(offers, name="offer")),
        best=offers[int(gain.argmax())], floor=_floor(truth, worth),
    )  # fmt: skip


def _play(
    policy: str, truth: np.ndarray, worth: np.ndarray, visits: int, worlds: int, batch: int, rng: np.random.Generator
) -> np.ndarray:
    """Place of the offer shown at each visit, shape (worlds, visits); beliefs start at Beta(1, 1)."""
    won, lost = np.ones((2, worlds, len(truth)))
    chosen = np.empty((worlds, visits), dtype=np.int64)
    row = np.arange(worlds)
    for start in range(0, visits, batch):
        size = min(batch, visits - start)
        if policy == "uniform":
            shown = rng.integers(len(truth), size=(worlds, size))
        elif policy == "greedy":
            seen = won / (won + lost) * worth
            shown = (seen[:, None] + 1e-9 * rng.random((worlds, size, len(truth)))).argmax(axis=-1)  # ties are broken by chance
        else:
            shown = (rng.beta(won[:, None], lost[:, None], size=(worlds, size, len(truth))) * worth).argmax(axis=-1)
        taken = rng.random((worlds, size)) < truth[shown]
        for step in range(size):
            won[row, shown[:, step]] += taken[:, step]
            lost[row, shown[:, step]] += ~taken[:, step]
        chosen[:, start : start + size] = shown
    return chosen


def _floor(truth: np.ndarray, worth: np.ndarray) -> float:
    """Lai & Robbins: sum over worse offers of gap / KL(rate, rate that would make it best)."""
    gain = truth * worth
    best, total = gain.max(), 0.0
    for p, v, own in zip(truth, worth, gain, strict=True):
        needed = best / v
        if own < best and needed < 1:  # an offer that could not be best even if always taken is given up for nothing
            parts = (p * np.log(p / needed) if p > 0 else 0.0) + ((1 - p) * np.log((1 - p) / (1 - needed)) if p < 1 else 0.0)
            total += (best - own) / parts
    return float(total)


def _refuse(
    offers: list[str], truth: np.ndarray, worth: np.ndarray, visits: int, worlds: int, policies: Sequence[str], batch: int
) -> None:
    problems = []
    if len(offers) < 2:
        problems.append(Problem("rates", f"expected two offers or more, found {offers}"))
    if not np.all((truth >= 0) & (truth <= 1)):
        problems.append(Problem("rates", f"expected probabilities, found {truth.tolist()}"))
    if not np.all(worth > 0):
        problems.append(Problem("values", f"expected positive amounts, found {worth.tolist()}"))
    problems += [Problem(name, f"expected at least 1, found {value}") for name, value in
                 (("visits", visits), ("repetitions", worlds), ("batch", batch)) if value < 1]  # fmt: skip
    unknown = [name for name in policies if name not in get_args(Policy)]
    if unknown or not policies:
        problems.append(Problem("policies", f"expected some of {', '.join(get_args(Policy))}, found {unknown or 'none'}"))
    if problems:
        raise DataError("the exploration", problems)
