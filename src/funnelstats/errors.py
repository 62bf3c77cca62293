"""What can go wrong, said so that the reader knows what to do next.

A reader of data collects every :class:`Problem` before it raises one :class:`DataError`, because an analyst who mends an
export wants the whole list, not the first line of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing found wrong: where, what was expected and found, and the remedy.

    Attributes
    ----------
    where : str
        Column, stage or argument concerned.
    what : str
        What was expected and what was found.
    fix : str
        What to do about it; may be empty when the text of ``what`` already says it.
    """

    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.fix}" if self.fix else "")


class FunnelStatsError(Exception):
    """Root of every error this package raises on purpose."""


class ProblemsError(FunnelStatsError, ValueError):
    """Several problems in one subject, all of them listed.

    Parameters
    ----------
    subject : str
        What was read or asked for, with its size where known: ``"deals.csv (12,408 rows)"``.
    problems : iterable of Problem
        Everything found, in reading order.

    Examples
    --------
    >>> print(DataError("deals.csv (9 rows)", [Problem("amount", "4 negative values", "pass refunds as their own event")]))
    1 problem in deals.csv (9 rows)
      amount: 4 negative values; pass refunds as their own event
    """

    def __init__(self, subject: str, problems: Iterable[Problem]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{count} problem{'' if count == 1 else 's'} in {subject}"
        super().__init__("\n  ".join([head, *map(str, self.problems)]))


class DataError(ProblemsError):
    """The data, the mapping or the question asked of them cannot be right as they stand."""


class FitError(ProblemsError):
    """A model could not be fitted honestly to these data."""


class UnitError(FunnelStatsError, ValueError):
    """Two quantities in different units were added, compared or mixed."""


class NotIdentifiedError(FunnelStatsError, ValueError):
    """A number was asked of a quantity that the data cannot identify."""


class FunnelStatsWarning(UserWarning):
    """Root of every warning; tests turn them into errors."""


class ImmatureWarning(FunnelStatsWarning):
    """Part of a cohort is younger than the time it takes to convert: the rate is "so far"."""


class DefinitionWarning(FunnelStatsWarning):
    """A choice of definition moves the headline, so both numbers are named."""


class DataWarning(FunnelStatsWarning):
    """Something in the data was read by a stated rule that the reader should know of."""


class ExtrapolationWarning(FunnelStatsWarning):
    """A prediction was asked where there are few or no data."""


class LeakageWarning(FunnelStatsWarning):
    """One column explains so much by itself that it may be known only after what it is to foretell."""


class ConvergenceWarning(FunnelStatsWarning):
    """A sampler or an optimiser did not pass its diagnosis."""


class LeaveOneOutWarning(FunnelStatsWarning):
    """Some observations pull so hard that prediction without them cannot be judged from the draws at hand (Pareto k-hat)."""


class SampleRatioWarning(FunnelStatsWarning):
    """Trials are split between variants otherwise than planned, so something is wrong before any rate is read."""
