"""Along which paths does a change travel, and what is it multiplied by on the way? Arrows with names, and sums over paths.

In a linear system without loops the total effect of one variable on another is the sum, over the directed paths between them, of
the products of slopes (Wright 1921, Journal of Agricultural Research 20:557-585).  With one path it is the product ``eca``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """A slope between two observed variables.

    Attributes
    ----------
    source, target : str
    name : str
        ``"a"``; or ``"eca"``, the product over the links in between, where ``through`` was not observed.
    through : tuple of str
        Variables between the two that were not observed.
    """

    source: str
    target: str
    name: str
    through: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Observed variables in causal order, the arrows between them, and the baseline of each.

    Attributes
    ----------
    variables : tuple of str
        From the source to the final outcome.
    arrows : tuple of Arrow
    baselines : tuple of (str, str)
        Variable and the name of its intercept, for every variable but the first.
    written : tuple of (str, str)
        Name of an intercept and how it is written; differs for ``e(cb + d) + f``.

    Values are given by name as a mapping, each a number or an array of draws; all of them broadcast.
    """

    variables: tuple[str, ...]
    arrows: tuple[Arrow, ...]
    baselines: tuple[tuple[str, str], ...]
    written: tuple[tuple[str, str], ...] = ()

    @property
    def source(self) -> str:
        """First variable, the lever."""
        return self.variables[0]

    @property
    def outcome(self) -> str:
        """Last variable."""
        return self.variables[-1]

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients, equation by equation: slope of the chain, intercept, slopes of skip arrows."""
        return tuple(name for target, baseline in self.baselines for name in _ordered(self.into(target), baseline))

    def into(self, target: str) -> tuple[Arrow, ...]:
        """Arrows that end at a variable, that of its neighbour first."""
        near_first = sorted(
            (arrow for arrow in self.arrows if arrow.target == target), key=lambda a: -self.variables.index(a.source)
        )
        return tuple(near_first)

    def totals(self, values: Mapping[str, Any], *, outcome: str | None = None) -> dict[str, Any]:
        """Total effect of each variable on the outcome, and of the outcome on itself (one)."""
        end = outcome or self.outcome
        effect: dict[str, Any] = {end: 1.0}
        for variable in reversed(self.variables[: self.variables.index(end)]):
            out = [arrow for arrow in self.arrows if arrow.source == variable and arrow.target in effect]
            effect[variable] = sum((values[arrow.name] * effect[arrow.target] for arrow in out), start=0.0)
        return effect

    def means(self, values: Mapping[str, Any], level: Any, *, held: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Mean of every variable where the source is set to ``level`` and those in ``held`` to a value of their own."""
        held = held or {}
        mean: dict[str, Any] = {self.source: held.get(self.source, level)}
        for target, baseline in self.baselines:
            reached = sum((values[arrow.name] * mean[arrow.source] for arrow in self.into(target)), start=values[baseline])
            mean[target] = held.get(target, reached)
        return mean

    def direct(self, values: Mapping[str, Any]) -> Any:
        """Effect of the arrow from the source straight to the outcome; None where there is no such arrow beside a longer path."""
        if len(self.variables) == 2:
            return None
        found = [values[arrow.name] for arrow in self.arrows if (arrow.source, arrow.target) == (self.source, self.outcome)]
        return found[0] if found else None

    def gradient(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Slopes of the total effect and of the outcome at a source of zero, with respect to every coefficient."""
        onward, at_zero = self.totals(values), self.means(values, 0.0)
        total = {name: 0.0 for name in self.names}
        baseline = dict(total)
        for arrow in self.arrows:
            reached = self.totals(values, outcome=arrow.source).get(self.source, 0.0)
            total[arrow.name] = reached * onward[arrow.target]
            baseline[arrow.name] = at_zero[arrow.source] * onward[arrow.target]
        for target, name in self.baselines:
            baseline[name] = onward[target]
        return total, baseline

    def routes(self, start: str | None = None) -> list[tuple[Arrow, ...]]:
        """Every directed path from the source (or from ``start``) to the outcome."""
        at = start or self.source
        if at == self.outcome:
            return [()]
        return [(arrow, *rest) for arrow in self.arrows if arrow.source == at for rest in self.routes(arrow.target)]


def _ordered(arrows: tuple[Arrow, ...], baseline: str) -> tuple[str, ...]:
    first, *others = arrows
    return (first.name, baseline, *(arrow.name for arrow in others))
