"""Which numbers can be asked of a log by name, and computed again next year from the same words?

A name, settings and a seed are a recipe. A card that carries one can be verified: the number is computed anew from the data.
"""

import difflib
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from funnelstats.data.counts import CountsLog
from funnelstats.data.events import EventLog
from funnelstats.data.transactions import Transactions
from funnelstats.errors import DataError, ImmatureWarning, Problem
from funnelstats.report import asked_ahead, asked_choices, asked_league, asked_money, asked_rates
from funnelstats.report.answers import Answer
from funnelstats.report.cards import Card
from funnelstats.report.citation import card

#: Name -> the function that computes it from a log, or from an order book where that is its first argument.
QUANTITIES: dict[str, Callable[..., Answer]] = {
    "overall_rate": asked_rates.share_won,
    "win_rate_of_decided": asked_rates.share_of_decided,
    "step_rate": asked_rates.step,
    "from_start_rate": asked_rates.from_start,
    "mean_amount": asked_rates.amount,
    "value_per_lead": asked_rates.lead_worth,
    "member_rate": asked_choices.member,
    "best_against_team": asked_choices.best_against_team,
    "bottleneck_probability": asked_choices.bottleneck_probability,
    "bottleneck_gain": asked_choices.bottleneck_gain,
    "mean_time": asked_choices.mean_stay,
    "median_time": asked_choices.median_stay,
    "eventual_conversion": asked_choices.in_the_end,
    "league_first": asked_league.league_first,
    "adjusted_gain": asked_league.adjusted_gain,
    "forecast_wins": asked_ahead.wins_ahead,
    "forecast_revenue": asked_ahead.revenue_ahead,
    "value_of_fixing": asked_money.fixing_worth,
    "newcomer_value": asked_money.newcomer_worth,
    "customers_value": asked_money.customers_worth,
}


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Asked:
    """An answer with its card.

    Attributes
    ----------
    answer : Answer
        With the fit behind the estimate.
    card : Card
        With the recipe.
    """

    answer: Answer
    card: Card

    @property
    def estimate(self) -> Any:
        """The estimate, or NotIdentified."""
        return self.answer.estimate

    def __repr__(self) -> str:
        return repr(self.card)

    def _repr_html_(self) -> str:
        return self.card._repr_html_()


def quantity(log: EventLog | CountsLog | Transactions, name: str, *, seed: int, label: str = "", **settings: Any) -> Asked:
    """Compute a named quantity and make its card.

    Parameters
    ----------
    log : EventLog, CountsLog or Transactions
        An order book for what is asked of customers.
    name : str
        One of :func:`quantities`.
    seed : int
    label : str
        What the result is called on its card; the quantity's name where not given.
    **settings
        Of the quantity, such as ``stage="Lead"`` or ``segment={"channel": "Web"}``; see :func:`quantities`.

    Returns
    -------
    Asked
        ``estimate``, ``card`` and ``answer`` with the fit.

    Raises
    ------
    DataError
        An unknown name or setting, or data that do not have what is asked.

    Examples
    --------
    >>> from funnelstats.data.crm import read_crm
    >>> asked = quantity(read_crm("bundled:crm_second"), "overall_rate", seed=1)
    >>> print(f"{asked.estimate:.1%}", asked.card.recipe["quantity"])
    3.2% (90% Wilson interval 2.6% to 3.8%) overall_rate
    """
    function = QUANTITIES.get(name)
    if function is None:
        close = difflib.get_close_matches(name, QUANTITIES, n=1)
        fix = (f"did you mean {close[0]!r}? " if close else "") + f"known: {', '.join(QUANTITIES)}"
        raise DataError("the quantity", [Problem("name", f"no quantity is called {name!r}", fix)])
    known = _settings(function)
    problems = [Problem(key, f"no setting of {name}", f"known: {', '.join(known)}") for key in settings if key not in known]
    if of_orders(name) != isinstance(log, Transactions):
        wanted = "an order book (Transactions.of)" if of_orders(name) else "a log (read_crm)"
        problems.append(Problem(name, f"expected {wanted}, found {type(log).__name__}"))
    if problems:
        raise DataError("the quantity", problems)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImmatureWarning)  # the estimand on the card says "so far"
        answer = function(log, seed=seed, **settings)
    said = {"seed": seed, **answer.stated}
    recipe = {"quantity": name, "settings": settings, "seed": seed}
    made = card(answer.estimate, name=label or name, source=(log, *answer.behind), recipe=recipe, **said)
    return Asked(answer=answer, card=made)


def quantities() -> pd.DataFrame:
    """List the quantities that can be asked of a log.

    Returns
    -------
    DataFrame
        One row per quantity: ``meaning``, what it is asked ``of`` and its ``settings``.

    Examples
    --------
    >>> quantities().loc["overall_rate", "meaning"]
    'Share of all who entered the first stage that reached the last.'
    """
    rows = {name: {"meaning": (inspect.getdoc(function) or "").split("\n")[0], "of": "orders" if of_orders(name) else "log",
                   "settings": ", ".join(_settings(function))} for name, function in QUANTITIES.items()}  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")


def of_orders(name: str) -> bool:
    """Whether a quantity is asked of an order book, not of a log."""
    return "orders" in inspect.signature(QUANTITIES[name]).parameters


def _settings(function: Callable[..., Answer]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("log", "orders", "seed")]
