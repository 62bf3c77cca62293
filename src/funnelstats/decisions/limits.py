"""Between which bounds may a budget be split, and what else runs short? Limits, read and checked before anything is laid out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from funnelstats.decisions.filling import Pieces, pieces
from funnelstats.decisions.response import Response
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, Estimate


def limits(
    response: Response, budget: float, bounds: Mapping[str, tuple[float, float]] | None,
    hours: Mapping[str, float] | Estimate | None, capacity: float | None,
) -> Pieces:  # fmt: skip
    """Read the limits of a split, all problems at once, and cut the response between them."""
    problems = []
    bounds = dict(bounds or {})
    if unknown := sorted(set(map(str, bounds)) - set(response.arms)):
        problems.append(Problem("bounds", f"expected one of {list(response.arms)}, found {unknown}"))
    pairs = [bounds.get(arm, (levels[0], levels[-1])) for arm, levels in zip(response.arms, response.levels, strict=True)]
    low, high = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    for arm, levels, least, most in zip(response.arms, response.levels, low, high, strict=True):
        if not levels[0] <= least < most <= levels[-1] * (1 + 1e-12):
            fix = "a response is not believed beyond its last level"
            problems.append(Problem(f"bounds of {arm}", f"expected {levels[0]:g} <= least < most <= {levels[-1]:g}, found {least:g} and {most:g}", fix))  # fmt: skip
    if not (np.isfinite(budget) and budget > 0 and budget >= low.sum()):
        problems.append(
            Problem("budget", f"expected a positive number of at least the lower bounds ({low.sum():g}), found {budget!r}")
        )
    need, most_hours = _hours(response, hours, capacity, low, problems)
    if problems:
        raise DataError("an allocation", problems)
    return pieces(response, low, high, need, most_hours)


def _hours(
    response: Response, hours: Mapping[str, float] | Estimate | None, capacity: float | None, low: np.ndarray, problems: list[Problem]
) -> tuple[np.ndarray, float]:  # fmt: skip
    arms = list(response.arms)
    if (hours is None) != (capacity is None):
        problems.append(Problem("hours, capacity", "expected both of them or neither"))
    if hours is None or capacity is None:
        return np.zeros((1, len(arms))), np.inf
    given: Any = hours.draws[response.dim].values if isinstance(hours, Estimate) and response.dim in hours.draws.dims else hours
    known = [] if isinstance(given, Estimate) else [str(arm) for arm in given]
    if missing := [arm for arm in arms if arm not in known]:
        problems.append(Problem("hours", f"expected a number for each {response.dim}, found none for {missing}"))
        return np.zeros((1, len(arms))), np.inf
    if isinstance(hours, Estimate):
        need = hours.draws.sel({response.dim: arms}).transpose(*SAMPLE_DIMS, response.dim).values.reshape(-1, len(arms))
    else:
        need = np.array([[float(hours[arm]) for arm in arms]])
    if len(need) not in (1, response.values[0][..., 0].size):
        problems.append(Problem("hours", f"expected as many draws as the response has, found {len(need)}"))
    if not (np.isfinite(need).all() and np.all(need >= 0)):
        problems.append(Problem("hours", "expected numbers of at least 0 in every draw"))
    elif not (np.isfinite(capacity) and np.all(need @ low <= capacity)):
        problems.append(
            Problem(
                "capacity", f"expected at least the {float((need @ low).max()):g} that the lower bounds need, found {capacity!r}"
            )
        )
    return need, float(capacity)
