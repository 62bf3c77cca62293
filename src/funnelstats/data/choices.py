"""What would this client have done under another offer? Worlds whose answers come from known chances.

Whoever is offered something says yes with probability ``expit(sum of effects)``.  Effects are written as terms, ``{"1": -2.0,
"income": 0.03, "segment=Young:offer=Card": 0.9}``: the constant, a column, an indicator, a product of these.  Offers and promotions are
drawn by lot with known shares, so that their effects can be told apart from whom they were made to.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from funnelstats.errors import DataError, Problem
from funnelstats.window import ObservationWindow

Effects = Mapping[str, float]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SimulatedChoices:
    """Tables of offers and answers whose truth is known.

    Parameters
    ----------
    tables : dict of str to DataFrame
        What an export holds, by the name of its file; nothing later than the end of observation.
    coefficients : DataFrame
        Columns ``outcome, term, value``: every effect, on the logit of the outcome.
    chances : DataFrame
        One row per row of the first table: each outcome's own chance, given what was offered and all that went before.
    offers : DataFrame
        Columns ``segment, offer, chance, value, expected`` (and more): chance of a yes, mean worth of a yes, mean worth of the offer, exact
        averages over the people of the segment at hand, had everyone been made this offer.
    arms : DataFrame
        The same by ``arm`` of a promotion; empty where there is none.
    currency : str
        ISO code of every worth.
    window : ObservationWindow
        First possible row, end of observation, unit day.
    seed : int
        The seed.
    """

    tables: dict[str, pd.DataFrame]
    coefficients: pd.DataFrame
    chances: pd.DataFrame
    offers: pd.DataFrame
    arms: pd.DataFrame
    currency: str
    window: ObservationWindow
    seed: int

    @property
    def table(self) -> pd.DataFrame:
        """The first table."""
        return next(iter(self.tables.values()))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(table):,}" for name, table in self.tables.items())
        return f"<SimulatedChoices seed {self.seed}: {sizes} rows; {self.currency}; {self.window}>"


def chance(frame: pd.DataFrame, effects: Effects) -> np.ndarray:
    """Compute each row's chance of a yes.

    Parameters
    ----------
    frame : DataFrame
        Columns that the terms speak of.
    effects : mapping of str to float
        Terms and their effects on the logit.

    Returns
    -------
    ndarray
        Shape (rows,).

    Examples
    --------
    >>> frame = pd.DataFrame({"segment": ["Young", "Family"], "income": [0.0, 2.0]})
    >>> chance(frame, {"1": 0.0, "income": 0.5, "segment=Family:income": -0.5}).tolist()
    [0.5, 0.5]
    """
    total = np.zeros(len(frame))
    for term, value in effects.items():
        total += value * term_column(frame, term)
    return np.asarray(expit(total))


def as_if(frame: pd.DataFrame, column: str, level: str) -> pd.DataFrame:
    """Return the same people, had all of them been given ``level``."""
    return frame.assign(**{column: pd.Series(level, index=frame.index, dtype="str")})


def pick(rng: np.random.Generator, shares: Mapping[str, float], n: int) -> pd.Series:
    """Draw ``n`` labels by their shares."""
    upper = np.cumsum(list(shares.values()))
    code = np.minimum(np.searchsorted(upper / upper[-1], rng.random(n), side="right"), len(shares) - 1)
    return pd.Series(pd.array(list(shares), dtype="str").take(code))


def coefficient_table(outcomes: Mapping[str, Effects]) -> pd.DataFrame:
    """List the effects of every outcome: columns ``outcome, term, value``."""
    rows = [(outcome, term, float(value)) for outcome, effects in outcomes.items() for term, value in effects.items()]
    return pd.DataFrame(rows, columns=["outcome", "term", "value"])


def numbered(letter: str, n: int) -> pd.Series:
    """Make ids such as ``C00001``."""
    return letter + pd.Series(np.arange(1, n + 1)).astype("str").str.zfill(5)


def weibull(rng: np.random.Generator, n: int, *, median: float, shape: float) -> np.ndarray:
    """Draw waiting times with the given median."""
    return np.asarray(median * (-np.log1p(-rng.random(n)) / np.log(2)) ** (1 / shape))


def moments(rng: np.random.Generator, window: ObservationWindow, n: int) -> pd.Series:
    """Draw moments of the window, to the minute, in order."""
    assert window.start is not None
    minutes = np.floor(window.age(window.start) * 1440 * np.sort(rng.random(n)))
    return window.start + pd.Series(pd.to_timedelta(minutes, unit="min"))


def hidden(at: pd.Series, window: ObservationWindow) -> pd.Series:
    """Leave out moments later than the end of observation."""
    return at.where(at <= window.as_of).astype("datetime64[us]")


def refuse(what: str, **least: tuple[int, int]) -> None:
    """Refuse numbers below their least, ``name=(found, least)``, all at once."""
    problems = [Problem(name, f"expected at least {low}, found {found}") for name, (found, low) in least.items() if found < low]
    if problems:
        raise DataError(what, problems)


def term_column(frame: pd.DataFrame, term: str) -> np.ndarray:
    """Compute the column that a term speaks of, such as a regression needs."""
    value = np.ones(len(frame))
    for part in term.split(":"):
        name, _, level = part.partition("=")
        if name != "1":
            value = value * (frame[name] == level if level else frame[name]).to_numpy(float)
    return value
