"""What would revenue be if something in the chain were otherwise? Any lever: the budget, a slope, a baseline, a variable.

The article's three questions, how to raise the number of leads, the effect of marketing and the quality of sales leads, are
questions about ``a`` or ``b``, ``c`` or ``d``, ``e`` or ``f``; :func:`lever_table` says what moving each of them is worth.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, Estimate
from funnelstats.models.chain_fit import ChainFit
from funnelstats.models.chain_noise import outcome_sd
from funnelstats.models.chain_paths import Paths
from funnelstats.models.chain_support import Support, warn_outside

OBSERVED = (
    "associations seen in these periods; that changing a lever brings the difference is a further claim, which a designed "
    "change can test"
)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class WhatIf:
    """A scenario beside the base.

    Attributes
    ----------
    changes : tuple of str
        What is otherwise, in words.
    before, after, change : Estimate
        Mean of the outcome at the base, in the scenario, and the difference draw by draw.
    predictive : Estimate
        Outcome of one period in the scenario, noise included.
    table : DataFrame
        One row per variable: mean before, after and change with bounds, and the unit.
    caution : str
        How far the difference may be read as an effect; empty where the chain was declared causal.
    """

    changes: tuple[str, ...]
    before: Estimate
    after: Estimate
    change: Estimate
    predictive: Estimate
    table: pd.DataFrame
    caution: str = ""

    def __str__(self) -> str:
        text = f"{'; '.join(self.changes)}: mean {self.after}, {self.change} from the base; one period {self.predictive}"
        return text + (f". These are {self.caution}." if self.caution else "")

    def __repr__(self) -> str:
        return f"<WhatIf {self}>"

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>{self.table.to_html(index=False, float_format='{:.4g}'.format)}"


def what_if(
    fit: ChainFit, *, base: float | None = None, shift: float = 0.0, scale: float = 1.0, **changes: float | str
) -> WhatIf:
    """Mean and predictive of the outcome in a scenario.

    Parameters
    ----------
    fit : ChainFit
    base : float, optional
        Level of the first variable to compare with; the mean of those observed where not given.
    shift, scale : float
        The first variable becomes ``scale * base + shift``.
    **changes : float or str
        A coefficient (``a=90``, ``c="+10%"``, ``d="+20"``) or a variable set to a value (``M=12``, ``L=1500``). A number is the
        new value; text is a change of the old one.

    Returns
    -------
    WhatIf

    Raises
    ------
    DataError
        A lever that the chain does not have, or a change that cannot be read.

    Warns
    -----
    ExtrapolationWarning
        The first variable, or one that is set, leaves its observed range.

    Examples
    --------
    >>> from funnelstats.data.periods import read_periods
    >>> from funnelstats.models.chain import Chain
    >>> fit = Chain().fit(read_periods("bundled:monthly_chain"), seed=1)
    >>> found = what_if(fit, base=10, scale=1.1, c="+10%")
    >>> found.changes
    ('M 10 -> 11', 'c (L -> S) +10%')
    >>> found.change.lower > 0
    True
    """
    paths, seen = fit.paths, fit.observed()
    base = float(seen[paths.source].mean()) if base is None else float(base)
    _check(fit, changes)
    level = parse_change(changes.get(paths.source, scale * base + shift))(base)
    before = fit.values()
    after = {name: parse_change(changes[name])(draws) if name in changes else draws for name, draws in before.items()}
    between = [name for name in paths.variables[1:-1] if name in changes]
    reference = paths.means(before, base)
    held = {name: parse_change(changes[name])(reference[name]) + 0.0 * _one(before) for name in between}
    fit.level(level)
    warn_outside([Support.of(float(value.mean()), seen[name].to_numpy(), variable=name, unit=fit.data.unit(name))
                  for name, value in held.items()])  # fmt: skip
    scenario = paths.means(after, level, held=held)
    sets = {name: (reference[name], scenario[name]) for name in paths.variables}
    estimates = {name: _pair(fit, name, *pair, like=_one(before)) for name, pair in sets.items()}
    sd = outcome_sd(paths, after, fit.tree["posterior"].to_dataset(), held=held)
    noise = sd * sd.copy(data=fit.rng("what if").standard_normal(sd.shape))
    first, second, moved = estimates[paths.outcome]
    one = Estimate(draws=second.draws + noise, unit=second.unit, description=f"{paths.outcome} of one period in the scenario")
    return WhatIf(changes=_in_words(fit, base, level, changes), before=first, after=second, change=moved, predictive=one,
                  table=_table(estimates), caution="" if fit.model.causal else OBSERVED)  # fmt: skip


def lever_values(paths: Paths, values: Mapping[str, Any], level: Any, *, by: float | str = "+10%") -> dict[str, tuple[Any, Any]]:
    """For each coefficient: its value after the change, and the difference it makes to the outcome. Numbers or draws alike.

    Examples
    --------
    >>> from funnelstats.models.chain import Chain
    >>> article = {"a": 100, "b": 0, "c": 0.5, "d": 0, "e": 0.8, "f": 0}
    >>> {name: round(gain) for name, (_, gain) in lever_values(Chain().paths(), article, 10).items()}
    {'a': 40, 'b': 0, 'c': 40, 'd': 0, 'e': 40, 'f': 0}
    """
    change, base = parse_change(by), paths.means(values, level)[paths.outcome]
    moved = {name: change(values[name]) for name in paths.names}
    return {name: (value, paths.means({**values, name: value}, level)[paths.outcome] - base) for name, value in moved.items()}


def lever_table(fit: ChainFit, *, by: float | str = "+10%", base: float | None = None) -> pd.DataFrame:
    """What moving each coefficient is worth, side by side.

    Parameters
    ----------
    fit : ChainFit
    by : str or float
        The change of each coefficient, as in :func:`what_if`.
    base : float, optional
        Level of the first variable; the mean of those observed where not given.

    Returns
    -------
    DataFrame
        One row per coefficient: ``lever``, ``meaning``, ``value``, ``becomes``, ``gain`` in the outcome with ``lower`` and
        ``upper``, ``interval``, ``unit``, and ``worth``, the rise of the first variable that would bring the same where its
        slope is clear of zero.
    """
    paths, points = fit.paths, fit.points()
    base = float(fit.observed()[paths.source].mean()) if base is None else float(base)
    drawn, exact = lever_values(paths, fit.values(), base, by=by), lever_values(paths, points, base, by=by)
    total = fit.total_effect()
    clear = not total.lower <= 0 <= total.upper
    rows = []
    for name in paths.names:
        gain = Estimate(
            draws=(drawn[name][1] + 0.0 * _one(fit.values())).transpose(*SAMPLE_DIMS),
            description=f"gain by {name} {by}",
            unit=fit.data.unit(paths.outcome),
        )
        letters = fit.model.letters()
        rows.append({"lever": name, "meaning": letters.get(name, "several links together"), "value": points[name],
                     "becomes": float(exact[name][0]), "gain": float(exact[name][1]), "lower": gain.lower, "upper": gain.upper,
                     "interval": str(gain.shown), "unit": gain.unit,
                     "worth": float(exact[name][1]) / total.point if clear else np.nan})  # fmt: skip
    return pd.DataFrame(rows)


def parse_change(change: float | str) -> Callable[[Any], Any]:
    """Turn ``90``, ``"+10%"``, ``"-20"`` or ``"x1.5"`` into a function of the old value.

    Examples
    --------
    >>> parse_change("+10%")(50), parse_change("-5")(50), parse_change("x2")(50), parse_change(7)(50)
    (55.0, 45.0, 100.0, 7.0)
    """
    if isinstance(change, int | float | np.number) and not isinstance(change, bool) and np.isfinite(change):
        number = float(change)
        return lambda old: 0.0 * old + number
    found = re.fullmatch(r"\s*(x|×|[+-])\s*(\d+(?:\.\d+)?)\s*(%?)\s*", str(change))
    if not found or (found[1] in "x×" and found[3]):
        fix = 'write a number for a new value, or "+10%", "-20", "x1.5" for a change'
        raise DataError("a change", [Problem("change", f"expected a number or a change, found {change!r}", fix)])
    size = float(found[2])
    if found[1] in "x×":
        return lambda old: old * size
    signed = size if found[1] == "+" else -size
    return (lambda old: old * (100.0 + signed) / 100.0) if found[3] else (lambda old: old + signed)


def _check(fit: ChainFit, changes: Mapping[str, Any]) -> None:
    paths = fit.paths
    known = [*paths.variables[:-1], *paths.names]
    problems = []
    for name in changes:
        if name in fit.model.letters() and name not in paths.names:
            problems.append(Problem(name, str(fit.model.identified()[name])))
        elif name not in known:
            problems.append(Problem(name, f"expected one of {known}, found {name!r}"))
    if problems:
        raise DataError("what if", problems)


def _one(values: Mapping[str, xr.DataArray]) -> xr.DataArray:
    return next(iter(values.values()))


def _pair(fit: ChainFit, name: str, before: Any, after: Any, *, like: xr.DataArray) -> tuple[Estimate, Estimate, Estimate]:
    unit, zero = fit.data.unit(name), 0.0 * like
    parts = {"at the base": before, "in the scenario": after, "change of the mean": after - before}
    first, second, moved = (
        Estimate(draws=(part + zero).transpose(*SAMPLE_DIMS), unit=unit, description=f"mean of {name}, {words}")
        for words, part in parts.items()
    )
    return first, second, moved


def _table(estimates: Mapping[str, tuple[Estimate, Estimate, Estimate]]) -> pd.DataFrame:
    rows = []
    for name, (before, after, change) in estimates.items():
        row: dict[str, Any] = {"variable": name}
        for words, one in (("before", before), ("after", after), ("change", change)):
            row |= {words: one.point, f"{words}_lower": one.lower, f"{words}_upper": one.upper}
        rows.append(row | {"interval": str(before.shown), "unit": before.unit})
    return pd.DataFrame(rows)


def _in_words(fit: ChainFit, base: float, level: float, changes: Mapping[str, Any]) -> tuple[str, ...]:
    letters, said = fit.model.letters(), []
    if level != base:
        said.append(f"{fit.paths.source} {base:.4g} -> {level:.4g}")
    for name, change in changes.items():
        if name != fit.paths.source:
            what = f"{name} ({letters[name]})" if name in letters else name
            said.append(f"{what} {change}" if isinstance(change, str) else f"{what} = {float(change):g}")
    return tuple(said) or (f"nothing changed, {fit.paths.source} = {base:.4g}",)
