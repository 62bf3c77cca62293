"""How much do the data know at this level of marketing? Range, neighbours and leverage of a value, said beforehand."""

import warnings
from dataclasses import dataclass

import numpy as np

from funnelstats.errors import ExtrapolationWarning


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """Where a value lies among those observed.

    Attributes
    ----------
    variable, unit : str
    value : float
    low, high : float
        Observed range.
    near : int
        Periods within one standard deviation of the value.
    n : int
        Periods.
    leverage, leverage_max : float
        ``1/n + (x - mean)^2 / Sxx`` at the value, and the largest among the data. The standard error of a mean grows with its
        root.
    """

    variable: str
    unit: str
    value: float
    low: float
    high: float
    near: int
    n: int
    leverage: float
    leverage_max: float

    @classmethod
    def of(cls, value: float, observed: np.ndarray, *, variable: str, unit: str = "") -> "Support":
        """Describe a value beside those observed, shape (n,)."""
        centre, squares, n = observed.mean(), np.sum((observed - observed.mean()) ** 2), len(observed)
        lever = 1 / n + (np.append(observed, value) - centre) ** 2 / squares if squares > 0 else np.full(n + 1, np.inf)
        near = int(np.sum(np.abs(observed - value) <= np.std(observed)))
        return cls(
            variable=variable,
            unit=unit,
            value=float(value),
            low=float(observed.min()),
            high=float(observed.max()),
            near=near,
            n=n,
            leverage=float(lever[-1]),
            leverage_max=float(lever[:-1].max()),
        )

    @property
    def inside(self) -> bool:
        """Whether the value lies in the observed range."""
        return self.low <= self.value <= self.high

    def __str__(self) -> str:
        where = "inside" if self.inside else "outside"
        return (f"{self.variable} = {amount(self.value, self.unit)} is {where} the observed {self.low:.4g} to {self.high:.4g}; "
                f"{self.near} of {self.n} periods lie within one standard deviation of it; leverage {self.leverage:.2f}, "
                f"largest in the data {self.leverage_max:.2f}")  # fmt: skip


def amount(value: float, unit: str) -> str:
    """Write a number with its unit; a unit that begins with a number is set apart by a sign.

    Examples
    --------
    >>> amount(19.344, "10k CNY"), amount(1500, "leads")
    ('19.34 x 10k CNY', '1,500 leads')
    """
    return f"{value:,.4g}{' x' if unit[:1].isdigit() else ''} {unit}".strip()


def warn_outside(supports: list[Support]) -> None:
    """Warn once of every value outside the observed range."""
    outside = [str(support) for support in supports if not support.inside]
    if outside:
        more = f" (and {len(outside) - 1} more)" if len(outside) > 1 else ""
        text = f"{outside[0]}{more}. That the line stays straight there is assumed, not seen."
        warnings.warn(text, ExtrapolationWarning, stacklevel=3)
