"""Do two segments convert differently, and is the comparison a fair one?

By default each segment is judged on all who entered the funnel. The rate of a late step compares survivors only: a segment that
drops hard cases early looks good there, so that comparison carries a caution.

Difference: Newcombe (1998b) method 10. Ratio: Koopman (1984) score. Direction: joint draws of Jeffreys posteriors.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, ClosedForm, Estimate, NotIdentified
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.rate_table import immature_path, warn_immature
from funnelstats.models.rates import as_of_words, draw_steps
from funnelstats.models.verdict import CLEAR, chance, in_words

Estimand = Literal["from_start", "step"]
#: Fewer than this on either side are not compared in words.
LEAST = 10


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Comparison:
    """Two segments side by side.

    Attributes
    ----------
    a, b : str
        The segments compared, a against b.
    estimand : str
        The rate compared, in words, with its denominator.
    wins, trials : tuple of int
        Of a and of b.
    rates : tuple of Estimate
        Of a and of b.
    difference : Estimate
        Rate of a minus rate of b, with Newcombe's interval.
    ratio : Estimate or NotIdentified
        Rate of a over rate of b, with Koopman's interval.
    cautions : tuple of str
        What makes the comparison less than fair.
    """

    a: str
    b: str
    estimand: str
    wins: tuple[int, int]
    trials: tuple[int, int]
    rates: tuple[Estimate, Estimate]
    difference: Estimate
    ratio: Estimate | NotIdentified
    cautions: tuple[str, ...] = ()

    @property
    def probability_higher(self) -> float:
        """Probability that the rate of a is above that of b, given the counts."""
        return float(self.difference.probability(lambda d: d > 0))

    @property
    def expected_loss(self) -> tuple[float, float]:
        """Rate given up on average by choosing a, and by choosing b: what is at stake, in shares of the denominator."""
        draws = self.difference.draws
        return float((-draws).clip(min=0).mean()), float(draws.clip(min=0).mean())

    @property
    def verdict(self) -> str:
        """``higher``, ``lower``, ``no clear difference`` or ``too few to compare``, of a against b.

        A direction is named where the draws are clear of it and the interval shown leaves out zero, so that the sentence
        never says more than the numbers beside it.
        """
        if min(self.trials) < LEAST:
            return "too few to compare"
        straddles = self.difference.lower <= 0 <= self.difference.upper
        return in_words(0.5 if straddles else self.probability_higher)

    def table(self) -> pd.DataFrame:
        """One row per quantity: both rates, difference, ratio, probability; each with its counts or rule."""
        rows = [
            {"quantity": f"{name}: {self.estimand}", "value": rate.point, "lower": rate.lower, "upper": rate.upper,
             "interval": str(rate.shown), "of": f"{won:,} of {n:,}"}
            for name, rate, won, n in zip((self.a, self.b), self.rates, self.wins, self.trials, strict=True)
        ]  # fmt: skip
        for name, estimate in (("difference", self.difference), ("ratio", self.ratio)):
            row = {"quantity": f"{name}, {self.a} to {self.b}"}
            if isinstance(estimate, NotIdentified):
                row["of"] = str(estimate)
            else:
                row |= {
                    "value": estimate.point,
                    "lower": estimate.lower,
                    "upper": estimate.upper,
                    "interval": str(estimate.shown),
                }
            rows.append(row)
        rows.append({"quantity": f"P({self.a} above {self.b})", "value": self.probability_higher, "of": self.verdict})
        frame = pd.DataFrame(rows, columns=["quantity", "value", "lower", "upper", "interval", "of"])
        return frame.astype(dict.fromkeys(("value", "lower", "upper"), "Float64")).fillna({"interval": "", "of": ""})

    def __str__(self) -> str:
        if min(self.trials) < LEAST:
            sides = f"{self.trials[0]:,} of {self.a}, {self.trials[1]:,} of {self.b}; at least {LEAST} of each are needed"
            text = f"Too few to compare: {self.estimand} ({sides})."
        else:
            d = self.difference
            points = f"{100 * d.point:+.1f} percentage points ({d.shown} {100 * d.lower:+.1f} to {100 * d.upper:+.1f})"
            sure = f"probability of {self.a} above {self.b}: {chance(self.probability_higher)}"
            found = f"{self.a} is {self.verdict} than {self.b}" if self.verdict != "no clear difference" else (
                f"no clear difference between {self.a} and {self.b}")  # fmt: skip
            text = f"{self.estimand}: {found}, {points}; {sure}."
        return " ".join([text, *(f"Caution: {caution}." for caution in self.cautions)])

    def __repr__(self) -> str:
        return f"<Comparison {self}>"

    def _repr_html_(self) -> str:
        from html import escape

        rule = f'"higher" and "lower" are said from a probability of {CLEAR:.0%} on, if the interval leaves out zero'
        table = self.table().to_html(index=False, float_format="{:.4g}".format, na_rep="")
        return f"<p>{escape(str(self))}</p>{table}<p>{escape(rule)}</p>"


def compare(
    counts: StageCounts, segment: str, a: str, b: str, *, estimand: Estimand = "from_start", stage: str | None = None,
    prob: float = DEFAULT.prob, seed: int = 0, draws: int = 4000,
) -> Comparison | NotIdentified:  # fmt: skip
    """Compare one rate between two segments.

    Parameters
    ----------
    counts : StageCounts
        Counted by ``segment`` and perhaps more, over which is added up.
    segment, a, b : str
        Column, and the two labels in it.
    estimand : {"from_start", "step"}
        ``from_start``: those who reached ``stage``, of all who entered the first. ``step``: those who advanced from
        ``stage``, of those who entered it.
    stage : str, optional
        For ``from_start`` the last by default; for ``step`` it must be named.
    prob : float
        Mass of every interval.
    seed, draws
        As for :func:`~funnelstats.models.rates.step_rates`.

    Returns
    -------
    Comparison
        NotIdentified where one side has nobody in the denominator.

    Warns
    -----
    ImmatureWarning
        A rate of either side is only "so far".

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"team": ["A", "A", "B", "B"], "stage": ["Lead", "Won"] * 2, "entered": [70, 56, 80, 48]})
    >>> print(compare(StageCounts.of(frame, by=["team"]), "team", "A", "B", prob=0.95).difference)
    20% (95% Newcombe interval 5% to 33%)
    """
    place = _check(counts, segment, a, b, estimand, stage)
    grouped = counts.stages_by(segment)
    pair = replace(grouped, frame=grouped.frame[grouped.frame[segment].isin([a, b])].reset_index(drop=True))
    labels = list(pair.frame[segment].iloc[:: len(pair.stages)])
    sides = [labels.index(a), labels.index(b)]
    entered = pair.frame["entered"].to_numpy().reshape(2, -1)[sides]
    flags = (immature_path(pair) if estimand == "from_start" else pair.immature.to_numpy()).reshape(2, -1)[sides, place]
    words = _words(pair, estimand, place, so_far=bool(flags.any()))
    won, trials = (entered[:, place], entered[:, 0]) if estimand == "from_start" else (entered[:, place + 1], entered[:, place])
    if trials.min() == 0:
        return NotIdentified(f"{words}, {a} against {b}", f"nobody of {(a, b)[int(trials.argmin())]} is in the denominator")
    if flags.any():
        warn_immature(pair)
    tried, values = draw_steps(pair, seed, draws, 1)
    steps = np.where(tried > 0, values, 1.0)[..., sides, :]
    drawn = steps[..., :place].prod(axis=-1) if estimand == "from_start" else steps[..., place]
    return _join((str(a), str(b)), words, won, trials, drawn, prob, _cautions(pair, estimand, place, (a, b), flags))


def _check(counts: StageCounts, segment: str, a: str, b: str, estimand: Estimand, stage: str | None) -> int:
    """Place of the stage asked for; refuse what cannot be compared, all problems at once."""
    problems = []
    if segment not in counts.by:
        fix = f'count with by="{segment}"'
        problems.append(Problem("segment", f"expected one of the columns {list(counts.by)}, found {segment!r}", fix))
    else:
        known = list(counts.frame[segment].unique())
        problems += [
            Problem(name, f"expected one of {known}, found {label!r}")
            for name, label in (("a", a), ("b", b))
            if label not in known
        ]
    if a == b:
        problems.append(Problem("b", f"expected another segment than a, found {b!r} twice"))
    allowed = {"from_start": counts.stages[1:], "step": counts.stages[:-1]}.get(estimand, counts.stages)
    if estimand not in get_args(Estimand):
        problems.append(Problem("estimand", f"expected one of {', '.join(get_args(Estimand))}, found {estimand!r}"))
    if (stage is None and estimand == "step") or (stage is not None and stage not in allowed):
        problems.append(Problem("stage", f"expected one of {list(allowed)}, found {stage!r}"))
    if problems:
        raise DataError(f"a comparison in {counts.source}", problems)
    return counts.stages.index(counts.stages[-1] if stage is None else stage)


def _words(counts: StageCounts, estimand: Estimand, place: int, *, so_far: bool) -> str:
    far = " so far" if so_far else ""
    if estimand == "from_start":
        return f"{counts.stages[place]}{far}, of all who entered {counts.stages[0]}{as_of_words(counts)}"
    return f"advanced{far}, of those who entered {counts.stages[place]}{as_of_words(counts)}"


def _cautions(counts: StageCounts, estimand: Estimand, place: int, names: tuple[str, str], flags: np.ndarray) -> tuple[str, ...]:
    found = []
    if flags.all():
        found.append(f"both {names[0]} and {names[1]} are immature, their rates will still rise")
    elif flags.any():
        young, old = names if flags[0] else names[::-1]
        found.append(f"{young} is immature and {old} is not, so the comparison is biased against {young}")
    if estimand == "step" and place > 0:
        found.append(
            f"this compares only those who got as far as {counts.stages[place]}; a segment that drops hard cases early looks "
            "better here than it is"
        )
    return tuple(found)


def _join(
    names: tuple[str, str],
    words: str,
    won: np.ndarray,
    trials: np.ndarray,
    drawn: np.ndarray,
    prob: float,
    cautions: tuple[str, ...],
) -> Comparison:
    """Attach each quantity's formula to its draws, shape (chain, draw, 2)."""
    raw = won / trials
    own = Interval(prob=prob, kind="wilson")
    rates = [
        _formed(drawn[..., i], f"{name}: {words}", raw[i], own.of_counts(won[i], trials[i]), own) for i, name in enumerate(names)
    ]
    both = (int(won[0]), int(trials[0]), int(won[1]), int(trials[1]))
    against = f"{names[0]} against {names[1]}: {words}"
    rule = Interval(prob=prob, kind="newcombe")
    difference = _formed(
        drawn[..., 0] - drawn[..., 1], f"difference, {against}", raw[0] - raw[1], rule.of_two_counts(*both), rule
    )
    ratio: Estimate | NotIdentified = NotIdentified(f"ratio, {against}", f"nobody of {names[1]} got there")
    if won[1] > 0:
        rule = Interval(prob=prob, kind="koopman")
        ratio = _formed(drawn[..., 0] / drawn[..., 1], f"ratio, {against}", raw[0] / raw[1], rule.of_two_counts(*both), rule)
    return Comparison(a=names[0], b=names[1], estimand=words, wins=(both[0], both[2]), trials=(both[1], both[3]),
                      rates=(rates[0], rates[1]), difference=difference, ratio=ratio, cautions=cautions)  # fmt: skip


def _formed(draws: np.ndarray, description: str, point: float, bounds: tuple[Any, Any], rule: Interval) -> Estimate:
    form = ClosedForm(xr.DataArray(point), xr.DataArray(bounds[0]), xr.DataArray(bounds[1]), rule)
    labelled = xr.DataArray(draws, dims=SAMPLE_DIMS)
    return Estimate(draws=labelled, description=description, interval=Interval(prob=rule.prob), closed_form=form)
