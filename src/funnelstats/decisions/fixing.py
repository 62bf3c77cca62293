"""What is it worth to fix a stage: more wins, more money, net of what the fix costs?

Everything is computed from joint draws of the step rates: ``entrants * (overall' - overall) * amount - cost``, where overall'
is the product with the fixed stage's rate replaced.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.data.events import EventLog
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate, NotIdentified


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Fix:
    """Value of one fix.

    Attributes
    ----------
    wins : Estimate
        Additional wins among ``entrants``.
    money : Estimate
        Their amounts, in the currency of the amounts.
    net : Estimate
        ``money`` minus the cost of the fix.
    p_pays : float
        P(ROI > 0): share of draws in which ``net`` is positive.
    wording : str
        The fix in words.
    """

    wins: Estimate
    money: Estimate
    net: Estimate
    p_pays: float
    wording: str

    def table(self) -> pd.DataFrame:
        """Wins, money and net, one row each, with their intervals and units."""
        rows = {"additional wins": self.wins, "money": self.money, "net of cost": self.net}
        return pd.concat([row.to_frame().set_index(pd.Index([name])) for name, row in rows.items()])

    def __repr__(self) -> str:
        return f"<Fix {self.wording}: P(it pays) = {self.p_pays:.2f}>\n{self.table()}"


def value_of_fixing(
    rates: Estimate, stage: str, *, entrants: float, amount: Estimate, by: float | None = None,
    to: Estimate | float | None = None, cost: float = 0.0,
) -> Fix:  # fmt: skip
    """Price an improvement of one stage.

    Parameters
    ----------
    rates : Estimate, dims (chain, draw, stage)
        Joint draws of the step rates.
    stage : str
        The stage to be fixed.
    entrants : float
        Entities that will enter the first stage; wins and money scale with it.
    amount : Estimate
        Money per win, unit such as ``"CNY/deal"``.
    by : float
        Percentage points as a share: 0.05 raises the rate by five points (to at most one).
    to : float or Estimate
        The rate to reach, such as ``best_decile(...)`` of this stage; where the stage is already better nothing is gained.
    cost : float
        What the fix costs, in the currency of ``amount``.

    Returns
    -------
    Fix

    Raises
    ------
    DataError
        An unknown stage, or not exactly one of ``by`` and ``to``.
    """
    stages = [str(name) for name in rates.draws["stage"].values]
    problems = []
    if stage not in stages:
        problems.append(Problem("stage", f"expected one of {stages}, found {stage!r}"))
    if (by is None) == (to is None):
        problems.append(Problem("by, to", "expected exactly one of them"))
    if not entrants > 0:
        problems.append(Problem("entrants", f"expected a positive number, found {entrants!r}"))
    if problems:
        raise DataError("the value of a fix", problems)
    now = rates.draws.sel(stage=stage, drop=True)
    if by is not None:
        target, goal = (now + by).clip(max=1.0), f"by {by:.1%} points"
    elif isinstance(to, Estimate):
        target, goal = to.draws, f"to {to:.1%}"
    else:
        target, goal = xr.full_like(now, float(to or 0)), f"to {float(to or 0):.1%}"
    overall = rates.draws.prod("stage")
    gained = overall * (target.reset_coords(drop=True) / now - 1).clip(min=0)
    wording = f"raising {stage} {goal}, {entrants:,.0f} entrants"
    wins = Estimate(draws=entrants * gained, unit="deal", description=f"additional wins from {wording}")
    money = (wins * amount).described(f"amounts of the additional wins from {wording}")
    net = Estimate(
        draws=money.draws - cost, unit=money.unit, description=f"money from {wording}, net of a cost of {cost:,.0f} {money.unit}"
    )
    return Fix(wins=wins, money=money, net=net, p_pays=float(net.probability(lambda draws: draws > 0)), wording=wording)


def mean_amount(log: EventLog, *, seed: int, draws: int = 1000, chains: int = 4) -> Estimate | NotIdentified:
    """Mean amount of a won deal: Student's t draws around the mean from n, mean and standard deviation alone.

    Parameters
    ----------
    log : EventLog
        Its won amounts, in one currency.
    seed : int
        Seed of the draws.
    draws, chains : int
        Shape of the draws, to be paired with those of the rates.

    Returns
    -------
    Estimate
        Unit ``"CNY/deal"`` or the like; NotIdentified with fewer than two amounts.
    """
    row = log.won_amounts().iloc[0]
    words = f"mean amount of a won deal of {log.source}"
    if row["n"] < 2 or not row["sd"] > 0:
        return NotIdentified(words, f"expected at least two different amounts among the won, found {int(row['n'])} amounts")
    t = np.random.default_rng([seed, int(row["n"])]).standard_t(row["n"] - 1, size=(chains, draws))
    values = xr.DataArray(row["mean"] + row["sd"] / np.sqrt(row["n"]) * t, dims=("chain", "draw"))
    return Estimate(draws=values, unit=f"{row['currency'] or 'money'}/deal", description=words)
