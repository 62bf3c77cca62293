"""What would knowing more be worth before deciding? The value of perfect information, of one quantity known, and net of its cost.

Choosing now means choosing the action that is best on average; whoever knew the truth would choose the best in each draw.  The
value of perfect information is ``E[max_a NB_a] - max_a E[NB_a]`` (Raiffa & Schlaifer 1961).  Of a part of what is unknown it is
``E[max_a E(NB_a | part)] - max_a E[NB_a]``, the inner expectation by regression over the draws (Strong, Oakley & Brennan 2014,
Med. Decis. Making 34:311).  Information that would not change the decision is worth nothing, however wide the intervals.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats import units
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, ClosedForm, Estimate
from funnelstats.models.verdict import chance

Actions = Estimate | Mapping[str, Estimate | float]
#: A regression on more columns than this would fit the draws, not the part.
MOST_COLUMNS = 6


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Information:
    """What knowing something would be worth to one decision.

    Attributes
    ----------
    gain : Estimate
        What knowing brings over deciding now, over what might turn out; its mean is the expected value of the information. It
        is nowhere negative, and zero wherever the action chosen now turns out to be the best.
    action : str
        The action that is best on average, chosen now.
    others : Series
        For each action the probability that it would be chosen once this is known.
    error : float
        Monte Carlo standard error of the expected value, the draws taken as independent.
    about : str
        What would be known, in words.
    """

    gain: Estimate
    action: str
    others: pd.Series
    error: float
    about: str

    @property
    def value(self) -> float:
        """Expected value of the information, per decision."""
        return float(self.gain.point)

    @property
    def p_change(self) -> float:
        """Probability that knowing would change the decision."""
        return max(0.0, float(1 - self.others[self.action]))

    def __str__(self) -> str:
        unit = f" {self.gain.unit}" if self.gain.unit else ""
        return (
            f"knowing {self.about} changes the decision ({self.action}) with probability {chance(self.p_change)} and is worth "
            f"{self.value:,.4g}{unit} on average"
        )

    def __repr__(self) -> str:
        return f"<Information {self}; Monte Carlo error {self.error:.2g}>"


def evpi(net: Actions) -> Information:
    """Expected value of perfect information: an upper bound on what any data can be worth to this decision.

    Parameters
    ----------
    net : Estimate with one label, or mapping of str to Estimate or float
        Net benefit of each action in joint draws, such as ``Allocation.value``, or
        ``{"fix Lead": fix.net, "leave it": 0.0}`` with ``fix`` of :func:`~funnelstats.decisions.fixing.value_of_fixing`.

    Returns
    -------
    Information

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(100.0, 200.0, size=20_000)
    >>> found = evpi({"launch": Estimate.of(draws, unit="CNY", description="net"), "leave it": 0.0})
    >>> found.action, round(found.value / 200, 2)  # the unit normal loss of 0.5 is 0.1978
    ('launch', 0.2)
    """
    benefit, unit = actions(net)
    return information(benefit, unit, about="everything")


def evppi(net: Actions, known: Estimate | Mapping[str, Estimate], *, about: str = "") -> Information:
    """Expected value of knowing a part of what is unknown, exactly.

    Parameters
    ----------
    net : Estimate or mapping
        As for :func:`evpi`.
    known : Estimate, or mapping of str to Estimate
        Draws of what would be known, paired with those of the net benefits; labels become columns, six at the most.
    about : str
        In words; the description of the estimate where not given.

    Returns
    -------
    Information
        Its value is between zero and that of :func:`evpi`.
    """
    benefit, unit = actions(net)
    columns, words = _columns(known, benefit)
    return known_exactly(conditional_means(benefit, columns), benefit, unit, about=about or words)


def known_exactly(given: xr.DataArray, benefit: xr.DataArray, unit: str, *, about: str) -> Information:
    """Value of knowing a part, from the net benefits expected given it; at most that of knowing everything."""
    return information(given, unit, about=about, ceiling=information(benefit, unit, about=about).value)


def enbs(found: Information, *, cost: float, decisions: float = 1.0) -> Estimate:
    """Expected net benefit of finding out: what it brings to all the decisions that it serves, less what it costs.

    Parameters
    ----------
    found : Information
        Of :func:`~funnelstats.decisions.sampling.evsi`, or of :func:`evppi` as an upper bound.
    cost : float
        Of finding out, in the unit of the net benefits.
    decisions : float
        How many decisions of this size it serves: months, regions, campaigns.

    Returns
    -------
    Estimate
        Its mean is the expected net benefit; above zero the information is worth collecting.
    """
    problems = [Problem(name, f"expected a finite number of at least 0, found {value!r}")
                for name, value in (("cost", cost), ("decisions", decisions)) if not (np.isfinite(value) and value >= 0)]  # fmt: skip
    if problems:
        raise DataError("the net benefit of finding out", problems)
    unit, form = found.gain.unit, found.gain.closed_form
    words = f"net benefit of knowing {found.about}, cost {cost:,.6g} {unit}".rstrip()
    if form:
        point, lower, upper = (side * decisions - cost for side in (form.point, form.lower, form.upper))
        form = ClosedForm(point, lower, upper, form.interval)
    return Estimate(draws=found.gain.draws * decisions - cost, unit=unit, description=words, closed_form=form)


def actions(net: Actions) -> tuple[xr.DataArray, str]:
    """Read net benefits as one array, dims (chain, draw, action), and their unit; an action may be a sure number."""
    if isinstance(net, Estimate):
        dims = net.draws.dims[2:]
        if len(dims) != 1 or net.draws.sizes[dims[0]] < 2:
            found = f"expected one label with at least two actions, found {dict(net.draws.sizes)}"
            raise DataError("a decision", [Problem("net", found, 'pass a mapping such as {"fix it": net, "leave it": 0.0}')])
        return net.draws.rename({dims[0]: "action"}), net.unit
    uncertain = [value for value in net.values() if isinstance(value, Estimate)]
    if len(net) < 2 or not uncertain or any(value.draws.dims != SAMPLE_DIMS for value in uncertain):
        found = "expected at least two actions, one of them uncertain, each with one number in every draw"
        raise DataError("a decision", [Problem("net", found)])
    first = uncertain[0]
    for value in uncertain[1:]:
        units.same(first.unit, value.unit, doing="compare")
    if len({value.draws.shape for value in uncertain}) > 1:
        raise DataError(
            "a decision", [Problem("net", f"expected joint draws, found shapes {[v.draws.shape for v in uncertain]}")]
        )
    zero = np.zeros_like(first.draws.values)
    values = [value.draws.values if isinstance(value, Estimate) else zero + float(value) for value in net.values()]
    return xr.DataArray(np.stack(values, axis=-1), dims=(*SAMPLE_DIMS, "action"), coords={"action": list(net)}), first.unit


def information(benefit: xr.DataArray, unit: str, *, about: str, ceiling: float = np.inf) -> Information:
    """Compare choosing now with choosing after, where ``benefit`` is what each action is then expected to bring."""
    names = [str(name) for name in benefit["action"].values]
    values = benefit.transpose(*SAMPLE_DIMS, "action").values
    means = values.mean(axis=(0, 1))
    now = int(np.argmax(means))
    gain = values.max(axis=-1) - values[..., now]
    # a regression that misses a bend can leave a little more than perfect information is worth
    gain = gain * (min(1.0, ceiling / gain.mean()) if gain.mean() > 0 else 1.0)
    chosen = np.where(gain > 0, values.argmax(axis=-1), now)
    shares = pd.Series([float((chosen == i).mean()) for i in range(len(names))], index=pd.Index(names, name="action"))
    draws = xr.DataArray(gain, dims=SAMPLE_DIMS)
    estimate = Estimate(draws=draws, unit=unit, description=f"gain from knowing {about} before choosing {names[now]}")
    error = float(gain.std(ddof=1) / np.sqrt(gain.size)) if gain.size > 1 else 0.0
    return Information(gain=estimate, action=names[now], others=shares, error=error, about=about)


def conditional_means(benefit: xr.DataArray, columns: np.ndarray) -> xr.DataArray:
    """Expected net benefit given the columns, by regression on splines whose number of knots generalised cross-validation chooses.

    Only differences between actions matter, so it is they that must be foretold. Means are kept. Columns have shape (n_draws, n_columns).
    """
    values = benefit.transpose(*SAMPLE_DIMS, "action").values
    flat = values.reshape(-1, values.shape[-1])
    columns = columns[:, columns.std(axis=0) > 0]
    best, fitted = np.inf, np.broadcast_to(flat.mean(axis=0), flat.shape)
    for knots in (1, 3, 6, 10) if columns.shape[1] else ():
        design = _splines(columns, knots)
        q, _ = np.linalg.qr(design)
        tried = q @ (q.T @ flat)
        left = flat - tried
        score = float(((left - left[:, :1]) ** 2).sum()) / (1 - q.shape[1] / len(flat)) ** 2
        best, fitted = (score, tried) if score < best * (1 - 1e-9) else (best, fitted)
    return benefit.transpose(*SAMPLE_DIMS, "action").copy(data=fitted.reshape(values.shape))


def _splines(columns: np.ndarray, knots: int) -> np.ndarray:
    """Constant, each column, its truncated cubes at quantiles, and products of columns, all standardised."""
    z = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    parts = [np.ones(len(z)), *z.T, *(z**2).T, *(z**3).T]
    for column in z.T:
        at = np.quantile(column, np.arange(1, knots + 1) / (knots + 1)) if knots > 1 else []
        parts += [np.maximum(column - knot, 0.0) ** 3 for knot in np.unique(at)]
    pairs = [(i, j) for i in range(z.shape[1]) for j in range(i)]
    parts += [z[:, i] * z[:, j] for i, j in pairs] + [z[:, i] ** p * z[:, j] ** (3 - p) for i, j in pairs for p in (1, 2)]
    return np.stack(parts, axis=1)


def _columns(known: Estimate | Mapping[str, Estimate], benefit: xr.DataArray) -> tuple[np.ndarray, str]:
    parts = {known.description: known} if isinstance(known, Estimate) else dict(known)
    shape = benefit.transpose(*SAMPLE_DIMS, "action").shape[:2]
    problems = [Problem(name, f"expected draws paired with the net benefits {shape}, found {part.draws.shape[:2]}")
                for name, part in parts.items() if part.draws.shape[:2] != shape]  # fmt: skip
    if not parts:
        problems.append(Problem("known", "expected at least one quantity, found none"))
    if problems:
        raise DataError("what would be known", problems)
    columns = np.concatenate([part.draws.values.reshape(shape[0] * shape[1], -1) for part in parts.values()], axis=1)
    if columns.shape[1] > MOST_COLUMNS:
        found = f"expected at most {MOST_COLUMNS} columns, found {columns.shape[1]}"
        raise DataError("what would be known", [Problem("known", found, "ask for a part of them, or for evpi")])
    return columns, " and ".join(parts)
