"""Where does each customer stand in the relationship, and what should be done next? State, and an action for each tier and state.

The state follows from P(alive) and the age of the relationship by a stated rule.  P(alive) means something else under each model,
so the bounds of the rule belong to one model and are not carried over to another.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.decisions.tiers import ValueTiers
from funnelstats.errors import DataError, Problem
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.buying import BuyingFit
from funnelstats.models.purchases import BgNbd, MbgNbd
from funnelstats.window import DAYS_PER

STATES = ("new", "active", "at risk", "lapsed", "bought once")
#: Days for which a customer counts as new: a quarter of a year.
NEW_DAYS = 91
_ONCE = "bought once: under BG/NBD nobody leaves before a second purchase, so P(alive) is 1 whatever happened"
#: Service of three tiers, from the most valuable down, one column for each of STATES.
_ACTIONS = {
    "A": ("welcome by the consultant in person; agree on goals", "named consultant; review of needs each quarter",
          "call by the consultant this week; ask what changed", "one personal offer to come back, then stop",
          "call by the consultant; offer a second project"),
    "B": ("welcome call and a guide to first steps", "offer what similar customers buy next; review each half year",
          "personal message and an offer that ends", "offer to come back by message, once", "message with a second offer"),
    "C": ("welcome by message, series of three", "newsletter and self-service", "reminder by message", "no action; ask before deleting",
          "newsletter with a second offer"),
}  # fmt: skip


def lifecycle_state(
    fit: BuyingFit[Any], *, active: float = 0.5, lapsed: float = 0.2, new: float | None = None, interval: Interval = DEFAULT
) -> pd.DataFrame:
    """Say of each customer of a fit whether it is new, active, at risk or lapsed.

    The first that holds: ``new`` where the age T is at most ``new``; ``bought once`` where the fit is of BG/NBD and there is no
    repeat purchase, since P(alive) is then 1 by construction (fit :class:`MbgNbd` or :class:`ParetoNbd` to tell these apart);
    ``active`` where P(alive) is at least ``active``; ``lapsed`` where it is below ``lapsed``; ``at risk`` between the two.

    Parameters
    ----------
    fit : BuyingFit
        Of BG/NBD, MBG/NBD, Pareto/NBD or BG/BB.
    active, lapsed : float
        Bounds of P(alive), ``lapsed`` the lower. They belong to this fit's model.
    new : float, optional
        In the data's unit of time; 91 days by default.
    interval : Interval
        Of P(alive).

    Returns
    -------
    DataFrame
        Index: the customer. ``state``, ``probability_alive`` with ``_lower`` and ``_upper``, ``age``, ``boundary`` (the interval
        of P(alive) holds one of the bounds), ``weight``, ``reason``, ``unit`` (of the age), ``interval``.

    Raises
    ------
    DataError
        Bounds that are no probabilities or do not rise; a negative age.

    Examples
    --------
    >>> from funnelstats.data.customers import Customers
    >>> customers = Customers.of([0, 6, 6, 0], [0, 30, 9, 0], [38, 38, 38, 4], unit="week", weight=[60, 20, 10, 10])
    >>> lifecycle_state(MbgNbd().fit(customers, seed=1))["state"].tolist()
    ['active', 'active', 'lapsed', 'new']
    """
    if not isinstance(fit, BuyingFit):
        raise DataError("the state", [Problem("fit", f"expected a fit of repeat buying, found {type(fit).__name__}")])
    unit, data = fit.data.unit, fit.data
    fresh = NEW_DAYS / DAYS_PER[unit] if new is None else new
    problems = [] if 0 < lapsed < active < 1 else [
        Problem("active, lapsed", f"expected 0 < lapsed < active < 1, found lapsed {lapsed!r} and active {active!r}")]  # fmt: skip
    if not (np.isfinite(fresh) and fresh >= 0):
        problems.append(Problem("new", f"expected a length of time in {unit}s, found {new!r}"))
    if problems:
        raise DataError("the state", problems)
    table = fit.table(horizon=0.0, interval=interval)
    names = [name for name in table.columns if name.startswith("probability_alive")]
    p, low, high = (table[name].to_numpy() for name in names)
    silent = isinstance(fit.model, BgNbd) and not isinstance(fit.model, MbgNbd)
    young, once = fresh >= data.T, silent & (data.frequency == 0)
    between = f"P(alive) from {lapsed:g} to below {active:g}"
    rules = [(young, "new", f"first purchase at most {fresh:g} {unit}s ago"), (once, "bought once", _ONCE),
             (p >= active, "active", f"P(alive) at least {active:g}"), (p < lapsed, "lapsed", f"P(alive) below {lapsed:g}"),
             (np.full(len(p), True), "at risk", between)]  # fmt: skip
    first = np.argmax(np.stack([holds for holds, _, _ in rules]), axis=0)
    state = pd.Categorical(np.array([name for _, name, _ in rules])[first], categories=list(STATES))
    near = ((low < active) & (active <= high)) | ((low < lapsed) & (lapsed <= high))
    columns = {"state": state, **{name: table[name] for name in names}, "age": data.T, "boundary": near & ~young & ~once}
    found = pd.DataFrame(columns, index=table.index).assign(weight=data.weight)
    reason = pd.Categorical.from_codes(first, pd.Index([words for _, _, words in rules]))
    return found.assign(reason=reason, unit=unit, interval=str(interval))


def action_table() -> pd.DataFrame:
    """Next best action of each tier (row) and state (column), to be edited.

    Returns
    -------
    DataFrame
        Rows A, B, C; columns new, active, at risk, lapsed, bought once. The texts are a starting point from practice, no finding
        of the data: whether an action works is for an experiment to say.

    Examples
    --------
    >>> table = action_table()
    >>> table.loc["A", "lapsed"] = "lunch with a partner"
    >>> table.loc["A", "at risk"]
    'call by the consultant this week; ask what changed'
    """
    return pd.DataFrame.from_dict(_ACTIONS, orient="index", columns=list(STATES)).rename_axis("tier")


def next_best_action(tiers: ValueTiers, states: pd.DataFrame, *, table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Look up what to do for each customer.

    Parameters
    ----------
    tiers : ValueTiers
    states : DataFrame
        From :func:`lifecycle_state`; of the same customers.
    table : DataFrame, optional
        Tier by state, as :func:`action_table`, which is the default.

    Returns
    -------
    DataFrame
        Index: the customer. ``tier``, ``tier_probability``, ``state``, ``probability_alive``, ``action`` and ``review``: the tier
        or the state is on a border, so a person should look before much is spent.

    Raises
    ------
    DataError
        Customers without a state; tiers or states without an action.

    Examples
    --------
    >>> from funnelstats.data.customers import Customers
    >>> from funnelstats.decisions.tiers import value_tiers
    >>> customers = Customers.of([0, 6, 6], [0, 30, 9], 38, unit="week", label=["a", "b", "c"])
    >>> states = lifecycle_state(MbgNbd().fit(customers, seed=1))
    >>> tiers = value_tiers([[9.0, 8.0], [90.0, 95.0], [20.0, 30.0]], customers=["a", "b", "c"])
    >>> next_best_action(tiers, states).loc["b", "action"]
    'named consultant; review of needs each quarter'
    """
    actions = action_table() if table is None else table
    without = tiers.frame.index.difference(states.index)
    problems = _missing("customers", "expected a state for each, found none for", without)
    problems += _missing("table", "expected a row for each tier, found none for", pd.Index(tiers.names).difference(actions.index))
    held = states["state"].dropna().unique()
    problems += _missing("table", "expected a column for each state, found none for", pd.Index(held).difference(actions.columns))
    for name, rows in (("tiers", tiers.frame), ("states", states)):
        if rows.index.has_duplicates:
            problems.append(Problem(name, "expected every customer once, found some twice"))
    if problems:
        raise DataError("the next best action", problems)
    own = states.loc[tiers.frame.index]
    at = actions.index.get_indexer(pd.Index(tiers.frame["tier"])), actions.columns.get_indexer(pd.Index(own["state"]))
    found = {"tier": tiers.frame["tier"], "tier_probability": tiers.frame["probability"], "state": own["state"],
             "probability_alive": own["probability_alive"], "action": actions.to_numpy()[at],
             "review": tiers.frame["boundary"] | own["boundary"]}  # fmt: skip
    return pd.DataFrame(found, index=tiers.frame.index)


def _missing(where: str, what: str, names: Sequence[Any] | pd.Index) -> list[Problem]:
    shown = ", ".join(map(str, names[:5]))
    return [Problem(where, f"{what} {shown}" + (f" and {len(names) - 5:,} more" if len(names) > 5 else ""))] if len(names) else []
