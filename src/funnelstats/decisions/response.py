"""What does spending on a channel or a stage bring? Draws of value at levels of spending, joined by straight pieces.

A response is concave: the next unit of money never brings more than the last one did, so money can be laid where it brings most,
piece by piece.  Three shapes are given, ``value = r x`` up to a stated level, ``value = A (x / x0)^beta`` and
``value = A log(1 + x / s) / log(1 + x0 / s)``; any other concave shape can be drawn through its own levels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import xarray as xr

from funnelstats import units
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, Estimate

#: Straight pieces by which a curve is drawn; closer together where it bends most, at little spending.
PIECES = 24
Numbers = float | Mapping[str, float] | Estimate


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Response:
    """Value of spending, arm by arm, in joint draws.

    Attributes
    ----------
    arms : tuple of str
        Channels, stages, regions: what money can be spent on.
    dim : str
        What they are, such as ``"channel"``.
    levels : tuple of ndarray, shape (n_levels,)
        For each arm levels of spending, rising; no split goes beyond the last one.
    values : tuple of ndarray, shape (chain, draw, n_levels)
        For each arm the value at its levels.
    unit, spend_unit : str
    wording : str
        The shape in words, with its assumption.

    Raises
    ------
    DataError
        Levels that do not rise, values of another shape, or an arm whose value rises faster the more is spent.

    Examples
    --------
    >>> brings = Estimate.of([[3.0, 2.0], [2.5, 2.5]], description="value per unit", coords={"channel": ["Web", "Fair"]})
    >>> response = Response.linear(brings, upto={"Web": 100, "Fair": 50}, spend_unit="CNY")
    >>> response.at({"Web": 40, "Fair": 50}).point.values
    array([110. , 112.5])
    """

    arms: tuple[str, ...]
    dim: str
    levels: tuple[np.ndarray, ...]
    values: tuple[np.ndarray, ...]
    unit: str
    spend_unit: str
    wording: str

    def __post_init__(self) -> None:
        problems = []
        for arm, levels, values in zip(self.arms, self.levels, self.values, strict=True):
            if len(levels) < 2 or not np.all(np.diff(levels) > 0) or levels[0] < 0:
                problems.append(
                    Problem(arm, f"expected at least two levels that rise from 0 or more, found {levels.tolist()[:5]}")
                )
            elif values.ndim != 3 or values.shape[-1] != len(levels) or not np.isfinite(values).all():
                problems.append(
                    Problem(arm, f"expected finite draws (chain, draw, {len(levels)} levels), found shape {values.shape}")
                )
            else:
                slopes = np.diff(values) / np.diff(levels)
                if np.any(np.diff(slopes) > 1e-8 * (np.abs(slopes).max() + 1e-300)):
                    fix = "no split found piece by piece would be the best"
                    problems.append(Problem(arm, "expected that a further unit brings no more than the last, found a rise", fix))
        if problems:
            raise DataError("a response to spending", problems)

    @classmethod
    def linear(cls, per_unit: Estimate, *, upto: float | Mapping[str, float], spend_unit: str) -> Self:
        """Constant return: value per unit of spending times spending.

        Parameters
        ----------
        per_unit : Estimate, dims (chain, draw, arm)
            Value per unit of spending, such as ``"deal/CNY"``, or a pure number where the value is in the currency spent.
        upto : float or mapping of str to float
            For each arm the largest spending for which the line is believed. Nothing goes beyond it.
        spend_unit : str
        """
        dim, arms = _arms(per_unit)
        ends = _numbers(upto, arms, dim, "upto", least=0.0)
        levels = tuple(np.array([0.0, float(end)]) for end in ends)
        values = tuple(per_unit.draws.values[..., [i]] * levels[i] for i in range(len(arms)))
        return cls(arms=arms, dim=dim, levels=levels, values=values, unit=units.multiply(per_unit.unit, spend_unit),
                   spend_unit=spend_unit, wording="a straight line, as far as it is believed")  # fmt: skip

    @classmethod
    def power(cls, value: Estimate, *, at: Mapping[str, float], elasticity: Numbers, spend_unit: str, times: float = 2.0) -> Self:
        """Constant elasticity: one per cent more spending brings ``elasticity`` per cent more value.

        Parameters
        ----------
        value : Estimate, dims (chain, draw, arm)
            Value at the spending ``at``.
        at : mapping of str to float
            Spending that brought it, above zero.
        elasticity : float, mapping or Estimate
            Between 0 (nothing further) and 1 (a straight line), by arm or in joint draws.
        spend_unit : str
        times : float
            Up to how many times ``at`` the curve is believed.
        """
        words = f"constant elasticity, up to {times:g} times the given spending"
        return cls._curve(value, at, elasticity, "elasticity", spend_unit, times, words, lambda x, x0, beta: (x / x0) ** beta)

    @classmethod
    def log(cls, value: Estimate, *, at: Mapping[str, float], scale: Numbers, spend_unit: str, times: float = 2.0) -> Self:
        """Diminishing return: at a spending of ``scale`` a further unit brings half of what the first one did.

        Parameters
        ----------
        value, at, spend_unit, times
            As for :meth:`power`.
        scale : float, mapping or Estimate
            In the unit of spending, above zero; large where the curve is nearly straight.
        """
        words = f"logarithmic saturation, up to {times:g} times the given spending"
        return cls._curve(
            value, at, scale, "scale", spend_unit, times, words, lambda x, x0, s: np.log1p(x / s) / np.log1p(x0 / s)
        )

    @classmethod
    def _curve(cls, value: Estimate, at: Mapping[str, float], bend: Numbers, name: str, spend_unit: str, times: float, words: str,
               shape: Callable[..., np.ndarray]) -> Self:  # fmt: skip
        dim, arms = _arms(value)
        start = _numbers(at, arms, dim, "at", least=0.0)
        bends = _numbers(bend, arms, dim, name, least=0.0, most=1.0 if name == "elasticity" else np.inf)
        grid = np.linspace(0, 1, PIECES + 1) ** 2
        levels = tuple(np.unique(np.append(float(x0) * times * grid, float(x0))) for x0 in start)
        values = []
        for i in range(len(arms)):
            parameter = bends[..., i][..., None] if bends.ndim > 1 else bends[i]
            values.append(value.draws.values[..., [i]] * shape(levels[i], float(start[i]), parameter))
        return cls(arms=arms, dim=dim, levels=levels, values=tuple(values), unit=value.unit, spend_unit=spend_unit, wording=words)

    def net_of_spend(self) -> Self:
        """Value less the money spent, where both are in one currency: what is not worth its price then stays unspent."""
        units.same(self.unit, self.spend_unit, doing="subtract")
        values = tuple(value - level for value, level in zip(self.values, self.levels, strict=True))
        return type(self)(arms=self.arms, dim=self.dim, levels=self.levels, values=values, unit=self.unit,
                          spend_unit=self.spend_unit, wording=f"{self.wording}, net of spending")  # fmt: skip

    def at(self, spend: Mapping[str, float] | np.ndarray) -> Estimate:
        """Value of each arm at a spending, dims (chain, draw, arm).

        Parameters
        ----------
        spend : mapping of str to float, or ndarray of shape (n_arms,) or (chain, draw, n_arms)
            A spending within the levels of each arm; the last form has one for each draw.
        """
        given = np.asarray(spend if isinstance(spend, np.ndarray) else _numbers(spend, self.arms, self.dim, "spend"), dtype=float)
        columns = [read(*pair, given[..., i]) for i, pair in enumerate(zip(self.levels, self.values, strict=True))]
        draws = xr.DataArray(np.stack(columns, axis=-1), dims=(*SAMPLE_DIMS, self.dim), coords={self.dim: list(self.arms)})
        return Estimate(draws=draws, unit=self.unit, description=f"value by {self.dim}, {self.wording}")

    def __repr__(self) -> str:
        return f"<Response of {', '.join(self.arms)}: {self.unit or 'value'} for {self.spend_unit}, {self.wording}>"


def read(levels: np.ndarray, values: np.ndarray, spend: np.ndarray) -> np.ndarray:
    """Value on the straight pieces at one spending, or at one for each draw."""
    if np.any(spend < levels[0] - 1e-9 * levels[-1]) or np.any(spend > levels[-1] * (1 + 1e-9)):
        found = f"found {np.min(spend):g} to {np.max(spend):g}"
        raise DataError("a spending", [Problem("spend", f"expected from {levels[0]:g} to {levels[-1]:g}, {found}")])
    right = np.clip(np.searchsorted(levels, spend, side="right"), 1, len(levels) - 1)
    share = (spend - levels[right - 1]) / (levels[right] - levels[right - 1])
    place = np.broadcast_to(right, values.shape[:-1])[..., None]
    low, high = (np.take_along_axis(values, at, axis=-1)[..., 0] for at in (place - 1, place))
    return low + share * (high - low)


def _arms(value: Estimate) -> tuple[str, tuple[str, ...]]:
    dims = value.draws.dims[2:]
    if len(dims) != 1:
        found = f"expected one label beside the draws, such as channel, found {list(map(str, dims))}"
        raise DataError("a response to spending", [Problem("value", found)])
    return str(dims[0]), tuple(str(label) for label in value.draws[dims[0]].values)


def _numbers(
    given: Any, arms: tuple[str, ...], dim: str, name: str, *, least: float | None = None, most: float = np.inf
) -> np.ndarray:
    """One number for each arm, or draws of them, shape (n_arms,) or (chain, draw, n_arms); above ``least``, up to ``most``."""
    problems = []
    if isinstance(given, Estimate):
        known = [str(label) for label in given.draws[dim].values] if dim in given.draws.dims else []
        array = given.draws.sel({dim: list(arms)}).values if set(arms) <= set(known) else np.zeros(0)
    elif isinstance(given, Mapping):
        known = [str(arm) for arm in given]
        array = np.array([float(given[arm]) for arm in arms]) if set(arms) <= set(known) else np.zeros(0)
    else:
        known, array = list(arms), np.full(len(arms), float(given))
    if missing := [arm for arm in arms if arm not in known]:
        problems.append(Problem(name, f"expected a number for each {dim}, found none for {missing}"))
    if unknown := [arm for arm in known if arm not in arms]:
        problems.append(Problem(name, f"expected one of {list(arms)}, found {unknown}"))
    if not problems and (not np.isfinite(array).all() or np.any(array > most) or (least is not None and np.any(array <= least))):
        bounds = " ".join(
            part for part in (f"above {least:g}" if least is not None else "", f"up to {most:g}" if most < np.inf else "") if part
        )
        problems.append(Problem(name, f"expected numbers {bounds}".rstrip() + f", found {array.ravel()[:5].tolist()}"))
    if problems:
        raise DataError("a response to spending", problems)
    return array
