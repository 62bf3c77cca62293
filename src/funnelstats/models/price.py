"""What does a won deal bring, by segment, when some segments have won hardly any? Their own mean, as far as it can be believed.

The mean of a segment is drawn to that of all by Buehlmann's credibility ``Z = n / (n + within / between)`` (Buehlmann 1967, ASTIN Bulletin
4:199-207).  A segment without a won deal has ``Z = 0``: the mean of all, and the spread between segments on top.  The amounts of ``w`` wins add
up to a Gamma variable with ``w`` times the mean and ``w`` times the variance of one.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from funnelstats.estimate import NotIdentified


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Prices:
    """Means of amounts by segment, and what is known of them.

    Attributes
    ----------
    labels : tuple
        Segments.
    credibility : ndarray, shape (n_segments,)
        Weight of a segment's own mean.
    own, overall : ndarray and float
        Means of the segments (that of all where there is none) and of all.
    between : float
        Variance between the means of segments.
    cv : float
        Standard deviation of one amount over its mean.
    n : int
        Won deals with an amount.
    """

    labels: tuple[object, ...]
    credibility: np.ndarray
    own: np.ndarray
    overall: float
    between: float
    cv: float
    n: int

    @classmethod
    def of(cls, frame: pd.DataFrame, *, labels: tuple[object, ...], by: str | None) -> "Self | NotIdentified":
        """Learn from number, mean and standard deviation (``n, mean, sd``) of the amounts won, in total or by segment.

        Examples
        --------
        >>> frame = pd.DataFrame({"owner": ["Ann", "Bo"], "n": [90, 1], "mean": [100.0, 300.0], "sd": [50.0, np.nan]})
        >>> prices = Prices.of(frame, labels=("Ann", "Bo", "Cy"), by="owner")
        >>> prices.credibility.round(2)[2], prices.own[2].round(1)
        (np.float64(0.0), np.float64(102.2))
        """
        rows = frame[frame["n"] > 0]
        counts, means = rows["n"].to_numpy(dtype=float), rows["mean"].to_numpy(dtype=float)
        n = int(counts.sum())
        overall = float(counts @ means / n) if n else np.nan
        if n < 2 or not overall > 0:
            found = f"expected at least two won deals with an amount above nothing, found {n} with an amount"
            return NotIdentified("revenue of wins to come", found)
        squares = (counts - 1) @ rows["sd"].fillna(0).to_numpy(dtype=float) ** 2
        cv = float(np.sqrt((squares + counts @ (means - overall) ** 2) / (n - 1))) / overall
        size, own = np.zeros(len(labels)), np.full(len(labels), overall)
        between = 0.0
        if by is not None:
            rows = rows.set_index(by).reindex(list(labels))
            size, own = rows["n"].fillna(0).to_numpy(dtype=float), rows["mean"].fillna(overall).to_numpy(dtype=float)
            freedom, spread = np.maximum(size - 1, 0), rows["sd"].fillna(0).to_numpy(dtype=float)
            if freedom.sum() >= 2:
                cv = float(np.sqrt((freedom * (spread / np.where(own > 0, own, overall)) ** 2).sum() / freedom.sum()))
            within, some = (overall * cv) ** 2, int((size > 0).sum())
            excess = float(size @ (own - overall) ** 2) - (some - 1) * within
            between = max(excess / (n - float(size @ size) / n), 0.0) if some > 1 else 0.0
        within = (overall * cv) ** 2
        credibility = size * between / (size * between + within) if within > 0 else (size > 0) * float(between > 0)
        return cls(labels=labels, credibility=np.asarray(credibility), own=own, overall=overall, between=between, cv=cv, n=n)

    def draw(self, rng: np.random.Generator, *, draws: int) -> np.ndarray:
        """Draw the mean of each segment, shape (draws, n_segments)."""
        everyone = _positive(rng, np.full(draws, self.overall), np.full(draws, (self.overall * self.cv) ** 2 / self.n))
        centre = self.credibility * self.own + (1 - self.credibility) * everyone[:, None]
        return _positive(rng, centre, np.broadcast_to(self.between * (1 - self.credibility), centre.shape))

    def total(self, rng: np.random.Generator, mean: np.ndarray, wins: np.ndarray) -> np.ndarray:
        """Draw what so many wins bring together, where one brings ``mean`` on average."""
        if self.cv == 0:
            return mean * wins
        shape = np.where(wins > 0, wins, 1) / self.cv**2
        return np.where(wins > 0, rng.gamma(shape) * mean * self.cv**2, 0.0)


def _positive(rng: np.random.Generator, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Gamma draws of given means and variances; the mean itself where the variance is nought."""
    known = (variance > 0) & (mean > 0)
    shape = np.where(known, mean**2 / np.where(known, variance, 1), 1.0)
    return np.where(known, rng.gamma(shape) * np.where(known, mean, 0) / shape, np.maximum(mean, 0))
