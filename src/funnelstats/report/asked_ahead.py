"""What will be won, and what will it bring? Quantities about the time after the cut, which need the dates of single records."""

from functools import lru_cache
from typing import Any

from funnelstats.data.events import EventLog
from funnelstats.decisions.forecast import Forecast, forecast
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate, NotIdentified
from funnelstats.report.answers import Answer

#: How far it is looked ahead where nothing else is said, in the unit of the log.
HORIZON = 90


def wins_ahead(log: Any, *, seed: int, horizon: int = HORIZON, periods: int = 1, draws: int = 500, chains: int = 4) -> Answer:
    """Deals won in the time after the cut, from those open then and those to come."""
    return _answer(log, foretold(log, seed, horizon, periods, draws, chains), "wins", horizon)


def revenue_ahead(
    log: Any, *, seed: int, horizon: int = HORIZON, periods: int = 1, draws: int = 500, chains: int = 4
) -> Answer:  # fmt: skip
    """Amounts of the deals won in the time after the cut, from those open then and those to come."""
    return _answer(log, foretold(log, seed, horizon, periods, draws, chains), "revenue", horizon)


@lru_cache(maxsize=4)  # wins and revenue are of one simulation
def foretold(log: Any, seed: int, horizon: int, periods: int, draws: int, chains: int) -> Forecast:
    """The forecast behind these quantities; DataError where the data are counts without dates."""
    if not isinstance(log, EventLog):
        fix = "read an export of events or of dates per stage"
        raise DataError("the quantity", [Problem("forecast", "expected dates of single records, found counts alone", fix)])
    return forecast(log, horizon=horizon, periods=periods, seed=seed, draws=draws, chains=chains)


def _answer(log: EventLog, made: Forecast, what: str, horizon: int) -> Answer:
    named = {"wins": "deals won", "revenue": "amounts of the deals won"}[what]
    words = (f"{named} in the {horizon:,} {log.window.unit}s after {log.window.as_of.date()}, "
             "from those open then and those to come")  # fmt: skip
    found = made.whole(what)
    if isinstance(found, Estimate):
        return Answer(estimate=found.described(words), behind=(made.fit,))
    return Answer(estimate=NotIdentified(words, found.reason), behind=(made.fit,))
