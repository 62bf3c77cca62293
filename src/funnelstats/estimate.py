"""An uncertain number that brings its unit, its interval and its meaning wherever it goes.

Arithmetic is draw by draw, so totals, ratios and ranks of joint draws agree with one another; the mean of a product is
then never mistaken for the product of means.
"""

import operator
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from html import escape
from typing import Any, Self

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats import units
from funnelstats.digits import written
from funnelstats.errors import DataError, NotIdentifiedError, Problem
from funnelstats.interval import DEFAULT, Interval

SAMPLE_DIMS = ("chain", "draw")


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """Point and bounds that a formula gives exactly (a Wilson interval), with the rule they follow."""

    point: xr.DataArray
    lower: xr.DataArray
    upper: xr.DataArray
    interval: Interval


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Estimate:
    """Draws of one quantity, or of a labelled array of quantities.

    Parameters
    ----------
    draws : DataArray, dims (chain, draw, ...)
        Joint draws. The other dims are labels: stage, segment, customer.
    unit : str
        Unit of measure; ``""`` for a pure number such as a rate.
    description : str
        The estimand in words, as it should stand in a report.
    interval : Interval
        The rule of the interval shown.
    closed_form : ClosedForm, optional
        Point and bounds from a formula; shown in place of those of the draws until arithmetic is done on them.

    Examples
    --------
    >>> import numpy as np
    >>> rate = Estimate.of(np.linspace(0.02, 0.04, 101), description="leads won")
    >>> f"{rate:.1%}"
    '3.0% (90% interval 2.1% to 3.9%)'
    """

    draws: xr.DataArray
    unit: str = ""
    description: str
    interval: Interval = DEFAULT
    closed_form: ClosedForm | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.draws.dims[:2] != SAMPLE_DIMS:
            problems.append(Problem("draws", f"expected dims that begin with {SAMPLE_DIMS}, found {self.draws.dims}"))
        if not self.draws.size or not bool(np.isfinite(self.draws).all()):
            found = "expected finite numbers, found nan or infinity" if self.draws.size else "expected some, found none"
            problems.append(Problem("draws", found, "return NotIdentified(reason)"))
        if not self.description:
            problems.append(Problem("description", "expected the estimand in words, found nothing"))
        if problems:
            raise DataError("an Estimate", problems)

    @classmethod
    def of(
        cls, values: Any, *, description: str, unit: str = "", interval: Interval = DEFAULT,
        coords: Mapping[str, Any] | None = None,
    ) -> Self:  # fmt: skip
        """Build from plain draws.

        Parameters
        ----------
        values : array_like, shape (n_draws, ...)
            Draws along the first axis; the other axes are labelled by ``coords``, in its order.
        description, unit, interval
            As for the class.
        coords : mapping of str to sequence, optional
            Dimension name to labels.
        """
        array = np.array(values, dtype=float)[None]  # a copy: what happens to ``values`` later is not our number
        coords = dict(coords or {})
        return cls(draws=xr.DataArray(array, dims=(*SAMPLE_DIMS, *coords), coords=coords), unit=unit,
                   description=description, interval=interval)  # fmt: skip

    # -- reading ------------------------------------------------------------------------------------------------
    @property
    def point(self) -> Any:
        """Mean of the draws, or the formula's point; a float where there is no label left."""
        return _plain(self.closed_form.point if self.closed_form else self.draws.mean(SAMPLE_DIMS))

    @property
    def sd(self) -> Any:
        """Standard deviation of the draws."""
        return _plain(self.draws.std(SAMPLE_DIMS, ddof=1))

    @property
    def lower(self) -> Any:
        """Lower bound of the interval."""
        return _plain(self._bounds()[0])

    @property
    def upper(self) -> Any:
        """Upper bound of the interval."""
        return _plain(self._bounds()[1])

    @property
    def shown(self) -> Interval:
        """The rule of the interval that is shown."""
        return self.closed_form.interval if self.closed_form else self.interval

    def _bounds(self) -> tuple[xr.DataArray, xr.DataArray]:
        if self.closed_form:
            return self.closed_form.lower, self.closed_form.upper
        flat = self.draws.stack(sample=SAMPLE_DIMS).transpose(..., "sample")
        labels = flat.isel(sample=0, drop=True)
        lower, upper = self.interval.of(flat.values)
        return labels.copy(data=lower), labels.copy(data=upper)

    def with_interval(self, *, prob: float | None = None, kind: Any = None) -> Self:
        """The same draws under another interval rule."""
        rule = Interval(prob=self.interval.prob if prob is None else prob, kind=kind or self.interval.kind)
        return replace(self, interval=rule, closed_form=None)

    def sel(self, **labels: Hashable) -> Self:
        """Pick labels by name, such as ``stage="Lead"``."""
        for dim, label in labels.items():
            known = self.draws.coords[dim].values.tolist() if dim in self.draws.coords else []
            if label not in known:
                raise DataError(f"{self.description!r}", [Problem(dim, f"expected one of {known}, found {label!r}")])
        form = self.closed_form
        picked = form and ClosedForm(form.point.sel(labels), form.lower.sel(labels), form.upper.sel(labels), form.interval)
        return replace(self, draws=self.draws.sel(labels), closed_form=picked,
                       description=", ".join(map(str, (self.description, *labels.values()))))  # fmt: skip

    def described(self, description: str) -> Self:
        """The same number under a new description of the estimand."""
        return replace(self, description=description)

    def probability(self, event: Callable[[xr.DataArray], xr.DataArray]) -> Any:
        """Share of draws for which ``event(draws)`` holds, such as ``lambda d: d > 0``."""
        return _plain(event(self.draws).mean(SAMPLE_DIMS))

    def to_frame(self) -> pd.DataFrame:
        """One row per label: mean, sd, lower, upper, interval, unit."""
        lower, upper = self._bounds()
        point = self.closed_form.point if self.closed_form else self.draws.mean(SAMPLE_DIMS)
        parts = {"mean": point, "sd": self.draws.std(SAMPLE_DIMS, ddof=1), "lower": lower, "upper": upper}
        columns: Any = {name: part.to_series() if part.dims else [float(part)] for name, part in parts.items()}
        frame = pd.DataFrame(columns, index=None if point.dims else [self.description])
        return frame.assign(interval=str(self.shown), unit=self.unit)

    # -- arithmetic ---------------------------------------------------------------------------------------------
    def _combine(self, other: Any, op: Callable[[Any, Any], Any], unit: str, sign: str, *, swap: bool = False) -> "Estimate":
        left, right = _bare(self.draws), _bare(other.draws if isinstance(other, Estimate) else other)
        if problems := [*_mismatches(left, right)]:
            raise DataError("arithmetic on draws", problems)
        first, second = (_name(other), self.description) if swap else (self.description, _name(other))
        draws = (op(right, left) if swap else op(left, right)).transpose(*SAMPLE_DIMS, ...)
        return Estimate(draws=draws, unit=unit, interval=self.interval, description=f"({first}) {sign} ({second})")

    __array_ufunc__ = None  # an array on the left leaves the arithmetic to the estimate, and is no array of estimates

    def __add__(self, other: Any) -> "Estimate":
        return self._combine(other, operator.add, units.same(self.unit, _unit(other), doing="add"), "+")

    def __sub__(self, other: Any) -> "Estimate":
        return self._combine(other, operator.sub, units.same(self.unit, _unit(other), doing="subtract"), "-")

    def __rsub__(self, other: Any) -> "Estimate":
        return self._combine(other, operator.sub, units.same(self.unit, _unit(other), doing="subtract"), "-", swap=True)

    def __mul__(self, other: Any) -> "Estimate":
        return self._combine(other, operator.mul, units.multiply(self.unit, _unit(other)), "x")

    def __truediv__(self, other: Any) -> "Estimate":
        return self._combine(other, operator.truediv, units.divide(self.unit, _unit(other)), "/")

    def __rtruediv__(self, other: Any) -> "Estimate":
        return self._combine(other, operator.truediv, units.divide(_unit(other), self.unit), "/", swap=True)

    def __neg__(self) -> "Estimate":
        return replace(self, draws=-self.draws, closed_form=None, description=f"-({self.description})")

    __radd__, __rmul__ = __add__, __mul__

    def sum(self, dim: str) -> "Estimate":
        """Total over a label dimension, draw by draw."""
        return replace(self, draws=self.draws.sum(dim), closed_form=None, description=f"sum over {dim} of {self.description}")

    def prod(self, dim: str) -> "Estimate":
        """Product over a label dimension, draw by draw; the unit is multiplied as well."""
        unit = reduce(units.multiply, [self.unit] * self.draws.sizes[dim])
        description = f"product over {dim} of {self.description}"
        return replace(self, draws=self.draws.prod(dim), closed_form=None, unit=unit, description=description)

    # -- showing ------------------------------------------------------------------------------------------------
    def __format__(self, spec: str) -> str:
        if self.draws.dims != SAMPLE_DIMS:
            found = f"expected one number, found one for each {', '.join(map(str, self.draws.dims[2:]))}"
            raise DataError("a sentence", [Problem("value", found, "pick one with .sel()")])
        kind = "" if self.shown.kind == "equal-tailed" else f"{str(self.shown).split()[1]} "
        point, lower, upper = self._written(spec)
        unit = f"{' x' if self.unit[:1].isdigit() else ''} {units.counted(self.unit, point)}" if self.unit else ""
        return f"{point}{unit} ({self.shown.percent} {kind}interval {lower} to {upper})"

    def _written(self, spec: str) -> list[str]:
        """Point and bounds as text; without a spec, a share in per cent, anything else plain, to the digits worth printing."""
        if spec:
            return [format(value, spec) for value in (self.point, self.lower, self.upper)]
        values = self.point, self.lower, self.upper
        return written(*values, share=not self.unit and max(map(abs, values)) <= 1)

    def __str__(self) -> str:
        return format(self, "") if self.draws.dims == SAMPLE_DIMS else repr(self)

    def __repr__(self) -> str:
        if self.draws.dims == SAMPLE_DIMS:
            return f"<Estimate {self.description}: {self}>"
        return f"<Estimate {self.description}, {self.shown}>\n{self.to_frame().drop(columns='interval')}"

    def _repr_html_(self) -> str:
        return f"<p><b>{escape(self.description)}</b></p>{self.to_frame().to_html(float_format='{:.4g}'.format)}"


@dataclass(frozen=True, slots=True)
class NotIdentified:
    """A quantity that the data cannot identify, with the reason; it stands where a number would.

    Examples
    --------
    >>> print(NotIdentified("the share of repeat buyers", reason="no customer bought twice"))
    not identified: no customer bought twice
    >>> NotIdentified("the slope", reason="M is constant").point
    Traceback (most recent call last):
    funnelstats.errors.NotIdentifiedError: the slope is not identified: M is constant
    """

    description: str
    reason: str

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NotIdentifiedError(f"{self.description} is not identified: {self.reason}")

    point = lower = upper = sd = draws = property(_refuse)
    sel = sum = prod = probability = to_frame = with_interval = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = __float__ = _refuse

    def __format__(self, spec: str) -> str:
        return f"not identified: {self.reason}"

    def __str__(self) -> str:
        return format(self, "")


def _plain(array: xr.DataArray) -> Any:
    return array if array.dims else float(array)


def _bare(array: Any) -> Any:
    """Without the coordinates that name no label, which would be matched as if they did."""
    return array.reset_coords(drop=True).drop_vars(SAMPLE_DIMS, errors="ignore") if isinstance(array, xr.DataArray) else array


def _mismatches(left: xr.DataArray, right: Any) -> Iterator[Problem]:
    """Why two operands cannot be joined draw by draw and label by label; a label must not get lost on the way."""
    if not isinstance(right, xr.DataArray):
        if np.ndim(right) and np.shape(right) != left.shape[2:]:
            found = f"expected a number, or an array of shape {left.shape[2:]}, found shape {np.shape(right)}"
            yield Problem("array", found, "use an xarray.DataArray that names its labels")
        return
    for dim in set(left.dims) & set(right.dims):
        if dim in SAMPLE_DIMS and left.sizes[dim] != right.sizes[dim]:
            yield Problem("draws", f"expected equal numbers of {dim}s, found {left.sizes[dim]} and {right.sizes[dim]}")
        elif odd := sorted({str(label) for label in set(left[dim].values) ^ set(right[dim].values)}):
            yield Problem(str(dim), f"expected the same labels on both sides, found only on one: {', '.join(odd[:5])}")


def _name(other: Any) -> str:
    return other.description if isinstance(other, Estimate) else f"{float(other):g}" if np.ndim(other) == 0 else "array"


def _unit(other: Any) -> str:
    if isinstance(other, NotIdentified):
        other._refuse()
    return other.unit if isinstance(other, Estimate) else ""
