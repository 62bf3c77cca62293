"""What is a fix worth, a new customer, all customers? Quantities in money."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from funnelstats.data.customers import Customers
from funnelstats.data.transactions import Transactions
from funnelstats.decisions.bottleneck import best_decile
from funnelstats.decisions.fixing import Fix, mean_amount, value_of_fixing
from funnelstats.decisions.lifetime_value import LifetimeValue, lifetime_value
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate, NotIdentified
from funnelstats.models.exchangeable import BetaBinomialFit
from funnelstats.models.purchases import BgNbd, MbgNbd, ParetoNbd
from funnelstats.models.spend import GammaGamma
from funnelstats.report.answers import Answer, known_group, known_stage, with_amounts
from funnelstats.report.asked_choices import pooled_bottleneck
from funnelstats.window import Unit

#: Months of a customer's value, and the yearly rate at which it is discounted.
MONTHS, YEARLY = 12, 0.10
#: Models of buying by the names they go by.
BUYING = {"BG/NBD": BgNbd(), "MBG/NBD": MbgNbd(), "Pareto/NBD": ParetoNbd()}


# -- a fix ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Fixing:
    """A stage brought to its benchmark.

    Attributes
    ----------
    fix : Fix
    stage : str
    target : Estimate
        The rate of the best decile there.
    entrants : int
    fit : BetaBinomialFit
        With the worst verdict of those behind it.
    """

    fix: Fix
    stage: str
    target: Estimate
    entrants: int
    fit: BetaBinomialFit


def fixing_worth(
    log: Any, *, seed: int, stage: str | None = None, group: str | None = None, entrants: int | None = None, draws: int = 1000,
    chains: int = 4,
) -> Answer:  # fmt: skip
    """Money a year that bringing a stage to the best decile of a group would bring; the likeliest bottleneck where none is named."""
    with_amounts(log)
    group = known_group(log, group)
    where = "the most probable bottleneck" if stage is None else known_stage(log, stage)
    many = f"{entrants:,} entrants" if entrants else "as many entrants as in the fullest year"
    words = f"amounts of the wins that bringing {where} to the best decile over {group} would add, {many}"
    found = mended(log, seed, group, stage, entrants, draws, chains)
    if isinstance(found, NotIdentified):
        return Answer(estimate=NotIdentified(words, found.reason))
    remark = f"raising {found.stage} to {found.target:.1%}, {found.entrants:,} entrants; no cost is set against it"
    return Answer(estimate=found.fix.money.described(words), behind=(found.fit,), picked=found.stage, stated={"remark": remark})


@lru_cache(maxsize=4)  # the sentence of a report and its card are of one fix
def mended(
    log: Any, seed: int, group: str, stage: str | None, entrants: int | None, draws: int, chains: int
) -> Fixing | NotIdentified:
    """Price the likeliest bottleneck of a log, or a stage, at the best decile over a group."""
    pooled = pooled_bottleneck(log, seed, group, 0.0, draws, chains)
    amount = mean_amount(log, seed=seed, draws=draws, chains=chains)
    if isinstance(pooled, NotIdentified):
        return pooled
    if isinstance(amount, NotIdentified):
        return amount
    chosen = str(pooled.bottleneck.probability.idxmax()) if stage is None else stage
    if entrants is None:
        years = log.stages("entry_year").frame
        entrants = int(years.loc[years["stage"] == log.stages().stages[0], "entered"].max())
    target = best_decile(pooled.members, group=group).sel(stage=chosen)
    fix = value_of_fixing(pooled.team, chosen, entrants=entrants, amount=amount, to=target)
    return Fixing(fix=fix, stage=chosen, target=target, entrants=entrants, fit=pooled.worst)


# -- customers -----------------------------------------------------------------------------------------------------
def newcomer_worth(
    orders: Transactions, *, seed: int, as_of: str | None = None, unit: Unit = "week", horizon: int = MONTHS, yearly_rate: float = YEARLY,
    margin: float = 1.0, model: str = "MBG/NBD", draws: int = 1000, chains: int = 4,
) -> Answer:  # fmt: skip
    """Value of one new customer: the first purchase and those expected within the months ahead."""
    book, worth = customer_worth(orders, seed, as_of, unit, horizon, yearly_rate, margin, model, draws, chains)
    return _of_customers(worth.newcomer(), book, worth)


def customers_worth(
    orders: Transactions, *, seed: int, as_of: str | None = None, unit: Unit = "week", horizon: int = MONTHS, yearly_rate: float = YEARLY,
    margin: float = 1.0, model: str = "MBG/NBD", draws: int = 1000, chains: int = 4,
) -> Answer:  # fmt: skip
    """Value of the purchases that all customers together are expected to make within the months ahead."""
    book, worth = customer_worth(orders, seed, as_of, unit, horizon, yearly_rate, margin, model, draws, chains)
    return _of_customers(worth.total(), book, worth)


@lru_cache(maxsize=4)
def customer_worth(
    orders: Transactions, seed: int, as_of: str | None, unit: Unit, horizon: int, yearly_rate: float, margin: float, model: str,
    draws: int, chains: int,
) -> tuple[Customers, LifetimeValue]:  # fmt: skip
    """Customers of an order book, and their value by a model of buying and Gamma-Gamma."""
    if model not in BUYING:
        raise DataError("the quantity", [Problem("model", f"expected one of {', '.join(BUYING)}, found {model!r}")])
    book = orders.customers(unit=unit, as_of=as_of)
    buying = BUYING[model].fit(book, seed=seed, draws=draws, chains=chains)
    spending = GammaGamma().fit(book, seed=seed, draws=draws, chains=chains)
    monthly = (1 + yearly_rate) ** (1 / 12) - 1
    return book, lifetime_value(buying, spending, horizon=horizon, period="month", discount_rate=monthly, margin=margin)


def _of_customers(found: Estimate, book: Customers, worth: LifetimeValue) -> Answer:
    return Answer(estimate=found, behind=(worth.purchases, worth.spend), stated={"currency": book.currency})
