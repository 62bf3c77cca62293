"""Which different situations are there among the cases, how often was each met, and how often did it end in yes? And which column gives it away?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from funnelstats.data.cases import Cases
from funnelstats.errors import DataError, FitError, Problem
from funnelstats.models.design import Design


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Situations:
    """Cases counted by what is known of them: the sufficient statistics of a score.

    Attributes
    ----------
    design : Design
    frame : DataFrame
        One row for each situation, with the columns of the design.
    wins, trials : ndarray of int, shape (n_situations,)
    outcome, source : str
        What a win is, and where the cases are from.
    """

    design: Design
    frame: pd.DataFrame
    wins: np.ndarray
    trials: np.ndarray
    outcome: str
    source: str

    @classmethod
    def of(cls, cases: Cases, design: Design) -> Self:
        """Count cases; those that the design cannot tell apart are one situation."""
        if not isinstance(cases, Cases):
            found = f"expected Cases, found {type(cases).__name__}"
            raise DataError("the data", [Problem("data", found, "use read_cases(...)")])
        keys = {term.column: term.codes(cases.frame) if term.levels else cases.frame[term.column].fillna(term.mean).to_numpy()
                for term in design.terms}  # fmt: skip
        place = pd.DataFrame(keys).groupby(list(keys), sort=True).ngroup().to_numpy()  # of each case among the situations
        first = np.unique(place, return_index=True)[1]
        wins, trials = np.bincount(place, cases.outcome), np.bincount(place)
        frame = cases.frame[list(keys)].iloc[first].reset_index(drop=True)
        return cls(design=design, frame=frame, wins=wins.astype(np.int64), trials=trials.astype(np.int64), outcome=cases.roles.outcome,
                   source=cases.source)  # fmt: skip

    def refuse_if_separated(self, subject: str) -> None:
        """Raise where a level or a threshold tells the outcome without exception: no likelihood has a maximum then."""
        total = int(self.wins.sum())
        problems = list(self._separated())
        if total in (0, int(self.trials.sum())):
            problems = [Problem(self.outcome, f"expected yes and no, found {total:,} yes of {self.trials.sum():,}")]
        if problems:
            raise FitError(subject, problems)

    def _separated(self) -> Iterator[Problem]:
        fix = "is it known only after the outcome? Then exclude it; or use HierarchicalScore, whose priors keep it finite"
        for term in self.design.terms:
            if term.levels:
                codes = term.codes(self.frame)
                wins, trials = (np.bincount(codes, part, minlength=len(term.levels)) for part in (self.wins, self.trials))
                for at in np.flatnonzero((trials > 0) & ((wins == 0) | (wins == trials))):
                    found = f"level {term.levels[at]!r} has {wins[at]:.0f} yes of {trials[at]:.0f}: its coefficient has no finite value"
                    yield Problem(term.column, found, fix)
                continue
            value = self.frame[term.column].to_numpy(dtype=float)
            yes, no = value[self.wins > 0], value[self.wins < self.trials]
            if len(yes) and len(no) and (yes.min() >= no.max() or yes.max() <= no.min()):
                yield Problem(
                    term.column, "a threshold parts yes from no without exception: its coefficient has no finite value", fix
                )

    def __repr__(self) -> str:
        return f"<Situations of {self.source}: {len(self.trials):,} of {self.trials.sum():,} cases, {self.wins.sum():,} with {self.outcome}>"
