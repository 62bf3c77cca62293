"""Out of how many, and how many won? One row per group: the data of every pooling model.

Counting is the statistician's first decision, and it is made here: what the undecided ("open") count as.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, Problem
from funnelstats.window import ObservationWindow

Denominator = Literal["settled", "decided", "entered"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Trials:
    """Wins and trials of groups.

    Parameters
    ----------
    wins, trials : ndarray of int, shape (n_groups,)
        0 <= wins <= trials. A group without trials is allowed: it is known by the others only.
    labels : tuple of str
        One for each group, all different.
    open : int
        Entities still undecided that are not among the trials.
    window : ObservationWindow, optional
    source : str
        Where the counts come from.

    Raises
    ------
    DataError
        Every violation at once.

    Examples
    --------
    >>> rats = Trials.of([0, 4, 9], [20, 14, 24], labels=["1", "70", "71"])
    >>> rats.raw
    array([0.        , 0.28571429, 0.375     ])
    """

    wins: np.ndarray
    trials: np.ndarray
    labels: tuple[str, ...]
    open: int = 0
    window: ObservationWindow | None = None
    source: str = "counts"

    def __post_init__(self) -> None:
        problems = list(_violations(self.wins, self.trials, self.labels))
        if problems:
            raise DataError(f"{self.source} ({len(self.labels)} groups)", problems)
        for name in ("wins", "trials"):
            own = np.array(getattr(self, name), dtype=np.int64)
            own.setflags(write=False)
            object.__setattr__(self, name, own)  # a private copy that nobody can write to

    @classmethod
    def of(cls, wins: Any, trials: Any, *, labels: Sequence[Any] | None = None, source: str = "counts") -> Self:
        """Build from arrays; ``trials`` may be one number for all groups; groups are numbered where they have no label."""
        wins = np.atleast_1d(np.asarray(wins))
        trials = np.asarray(trials)
        trials = np.full(wins.shape, trials) if trials.ndim == 0 else trials
        names = range(1, len(wins) + 1) if labels is None else labels
        return cls(wins=wins, trials=trials, labels=tuple(map(str, names)), source=source)

    @classmethod
    def of_counts(cls, counts: StageCounts, *, stage: str | None = None, denominator: Denominator = "settled") -> Self:
        """Take one stage of a funnel, a group for each segment.

        Parameters
        ----------
        counts : StageCounts
            By at least one column; several are joined in the label.
        stage : str, optional
            The stage to leave; may be left out where the funnel has only one step.
        denominator : {"settled", "decided", "entered"}
            See :func:`settled_trials`.
        """
        steps = counts.stages[:-1]
        problems = []
        if stage is None and len(steps) != 1:
            problems.append(Problem("stage", f"expected one of {list(steps)}, found nothing", "say which step is to be modelled"))
        elif stage is not None and stage not in steps:
            problems.append(Problem("stage", f"expected one of {list(steps)}, found {stage!r}"))
        if not counts.by:
            problems.append(Problem("by", "expected counts by a group, found totals only", 'count with by="owner" or another'))
        if problems:
            raise DataError(f"trials from {counts.source}", problems)
        frame = counts.frame[counts.frame["stage"] == (stage or steps[0])]
        trials = settled_trials(frame, denominator)
        labels = tuple(" | ".join(map(str, row)) for row in frame[list(counts.by)].itertuples(index=False))
        left_out = int((frame["entered"] - trials).sum())
        return cls(wins=frame["advanced"].to_numpy(), trials=trials.to_numpy(), labels=labels, open=left_out, window=counts.window,
                   source=f"{counts.source}, stage {stage or steps[0]}")  # fmt: skip

    @property
    def raw(self) -> np.ndarray:
        """Wins over trials, shape (n_groups,); nan where there are no trials."""
        with np.errstate(invalid="ignore"):
            return self.wins / self.trials

    def __repr__(self) -> str:
        return f"<Trials of {self.source}: {len(self.labels)} groups, {self.wins.sum():,} of {self.trials.sum():,} won>"


def settled_trials(frame: pd.DataFrame, denominator: Denominator) -> pd.Series:
    """Count the trials of each row of stage counts, with the undecided as ``denominator`` says.

    ``settled`` (default)
        Advanced, lost, and those open for longer than nine in ten of those who advance took: they count as not advanced.
        Younger open entities are left out, because nothing is known of them yet. A deal nobody closed in the CRM is then
        not forgotten, and last week's leads do not pull the rate down. Where a file has no dates, every open entity may
        be young and is left out.
    ``decided``
        Advanced and lost only. Flatters a team that never marks a deal as lost.
    ``entered``
        All who entered, open ones as not advanced: the rate "so far", biased low for young cohorts.

    In young cohorts the quick are decided first, so all three lean towards whichever exit is quicker;
    ``CompetingExits`` models time itself and has no such lean.
    """
    if denominator not in get_args(Denominator):
        found = f"expected one of {', '.join(get_args(Denominator))}, found {denominator!r}"
        raise DataError("the trials", [Problem("denominator", found)])
    if denominator == "entered":
        return frame["entered"]
    decided = frame["advanced"] + frame["lost"]
    return decided if denominator == "decided" else decided + frame["open"] - frame["maturing"]


def as_trials(data: Any) -> Trials:
    """Read trials from what a pooling model accepts: Trials, or StageCounts of one step."""
    if isinstance(data, Trials):
        return data
    if isinstance(data, StageCounts):
        return Trials.of_counts(data)
    fix = "use Trials.of(wins, trials) or log.stages(by=...)"
    raise DataError("the data", [Problem("data", f"expected Trials or StageCounts, found {type(data).__name__}", fix)])


def _violations(wins: Any, trials: Any, labels: tuple[str, ...]) -> Iterator[Problem]:
    shapes = {np.shape(wins), np.shape(trials), (len(labels),)}
    if len(shapes) > 1 or np.ndim(wins) != 1:
        yield Problem("wins, trials, labels", f"expected one of each for every group, found shapes {sorted(map(str, shapes))}")
        return
    if not labels:
        yield Problem("labels", "expected at least one group, found none")
        return
    for name, values in (("wins", wins), ("trials", trials)):
        array = np.asarray(values)
        whole = np.issubdtype(array.dtype, np.number) and bool(
            np.all(np.isfinite(array) & (array == np.floor(array)) & (array >= 0))
        )
        if not whole:
            yield Problem(name, f"expected whole numbers of at least 0, found {array.tolist()[:5]}")
            return
    above = np.flatnonzero(np.asarray(wins) > np.asarray(trials))
    if len(above):
        first = above[0]
        found = f"found {wins[first]} of {trials[first]} in group {labels[first]!r} ({len(above)} such groups)"
        yield Problem("wins", f"expected no more wins than trials, {found}", "were the columns swapped?")
    if not np.any(np.asarray(trials) > 0):
        yield Problem("trials", "expected at least one trial in all, found none", "nothing was observed; wait for data")
    repeated = [label for label, times in Counter(labels).items() if times > 1]
    if repeated:
        yield Problem("labels", f"expected all different, found {repeated[:5]} more than once", "add their counts together")
