"""What does a chain of straight lines do to what enters it? It is one straight line: slopes multiply, intercepts are passed on.

``Affine(e, f) @ Affine(c, d) @ Affine(a, b)`` is ``x -> e(c(ax + b) + d) + f``, so its slope is ``eca`` and its intercept
``e(cb + d) + f``.  Numbers, exact fractions and whole batches of draws compose alike.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from funnelstats.errors import DataError, Problem


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """The map ``x -> slope x + intercept``.

    Parameters
    ----------
    slope, intercept : float, Fraction, ndarray or DataArray
        Numbers, or draws that broadcast against each other.

    Raises
    ------
    DataError
        A number that is not finite.

    Examples
    --------
    >>> revenue = Affine(0.8, 0) @ Affine(0.5, 0) @ Affine(100, 0)
    >>> revenue(10)
    400.0
    >>> print(revenue.says("M", "R"))
    R = 40 M + 0
    >>> revenue.inverse()(400)
    10.0
    """

    slope: Any
    intercept: Any = 0

    def __post_init__(self) -> None:
        problems = [Problem(name, "expected finite numbers, found nan or infinity")
                    for name, value in (("slope", self.slope), ("intercept", self.intercept))
                    if not np.all(np.isfinite(np.asarray(value, dtype=float)))]  # fmt: skip
        if problems:
            raise DataError("an affine map", problems)

    def __call__(self, x: Any) -> Any:
        """Apply the map."""
        return self.slope * x + self.intercept

    def __matmul__(self, first: "Affine") -> "Affine":
        """Compose: ``(g @ f)(x) == g(f(x))``."""
        return Affine(self.slope * first.slope, self.slope * first.intercept + self.intercept)

    def __add__(self, other: "Affine") -> "Affine":
        """Add two paths that lead to the same place: ``(g + f)(x) == g(x) + f(x)``."""
        return Affine(self.slope + other.slope, self.intercept + other.intercept)

    def inverse(self) -> "Affine":
        """Return the map from a target back to what reaches it.

        Raises
        ------
        DataError
            A slope of zero, in any draw: nothing, or everything, reaches the target.
        """
        if np.any(np.asarray(self.slope, dtype=float) == 0):
            fix = "ask for the set of values that are compatible with the target instead"
            raise DataError("the inverse of an affine map", [Problem("slope", "expected other than zero, found zero", fix)])
        return Affine(1 / self.slope, -self.intercept / self.slope)

    def says(self, x: str = "x", y: str = "y", *, digits: int = 6) -> str:
        """Write the map with its numbers; a batch of draws is written with its means."""
        slope, intercept = (float(np.mean(np.asarray(part, dtype=float))) for part in (self.slope, self.intercept))
        return f"{y} = {slope:.{digits}g} {x} {'-' if intercept < 0 else '+'} {abs(intercept):.{digits}g}"

    def __str__(self) -> str:
        return self.says()


#: ``IDENTITY @ f`` and ``f @ IDENTITY`` are ``f``.
IDENTITY = Affine(1, 0)
