"""What will the pipeline bring? Wins and revenue of each period to come, from the deals that are open and from those yet to come.

An open deal goes on from the stage and the age that it has reached, by the chances of :class:`~funnelstats.models.exits.CompetingExits`; new ones
come in at a rate that wanders as it has done (:class:`~funnelstats.models.intake.Intake`); a win brings the amount recorded with the deal or, where there is none,
what the segment's wins have brought (:class:`~funnelstats.models.price.Prices`).  Given a draw of the chances, deals of one stage, age and amount are
multinomial over the periods, and the wins of new ones Poisson (thinning): so the simulation is exact, and works on counts.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.data.events import EventLog
from funnelstats.data.pipeline import Pipeline
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, Estimate, NotIdentified
from funnelstats.interval import Interval
from funnelstats.models.exits import CompetingExits
from funnelstats.models.exits_fit import CompetingExitsFit
from funnelstats.models.intake import Intake
from funnelstats.models.passage import passages
from funnelstats.models.price import Prices

#: P10, P50 and P90.
LEVELS = (0.1, 0.5, 0.9)
ALL = "all"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Forecast:
    """Joint draws of what is to come.

    Attributes
    ----------
    wins : Estimate, dims (chain, draw, [group,] period)
        Deals won in each period.
    revenue : Estimate or NotIdentified
        What they bring.
    standing : Estimate
        Those of the wins that are open today.
    by : str, optional
        Segment column of the groups.
    periods : tuple of (Timestamp, Timestamp)
        Begin and end of each period.
    fit : CompetingExitsFit
        The chances used.
    expected_new : Estimate, dims (chain, draw, [group,] period)
        Deals coming in on average.
    pipeline : Pipeline
        The counts it rests on.
    source : str
    """

    wins: Estimate
    revenue: Estimate | NotIdentified
    standing: Estimate
    by: str | None
    periods: tuple[tuple[pd.Timestamp, pd.Timestamp], ...]
    fit: CompetingExitsFit
    expected_new: Estimate
    pipeline: Pipeline
    source: str

    def total(self) -> "Forecast":
        """All groups together, added up draw by draw."""
        if self.by is None:
            return self
        wins, standing, new = (
            part.sum(self.by).described(part.description) for part in (self.wins, self.standing, self.expected_new)
        )
        revenue = _summed(self.revenue, self.by)
        return replace(self, by=None, wins=wins, revenue=revenue, standing=standing, expected_new=new)

    def whole(self, what: str = "wins") -> Estimate | NotIdentified:
        """``"wins"`` or ``"revenue"`` of all periods together."""
        return _summed({"wins": self.wins, "revenue": self.revenue}[what], "period")

    def table(self, *, interval: Interval | None = None) -> pd.DataFrame:
        """P10, P50 and P90, mean and interval of each period, and of all of them.

        Returns
        -------
        DataFrame
            Columns ``[by,] quantity, period, begin, end, mean, p10, p50, p90, lower, upper, interval, unit``. Revenue is left out where it is
            not identified.
        """
        frames = []
        for name in ("wins", "revenue"):
            part = getattr(self, name)
            if isinstance(part, Estimate):
                both = xr.concat(
                    [part.draws, part.draws.sum("period").assign_coords(period=ALL).expand_dims("period")], dim="period"
                )
                frames.append(self._rows(name, replace(part, draws=both, interval=interval or part.interval)))
        return pd.concat(frames, ignore_index=True)

    def _rows(self, name: str, part: Estimate) -> pd.DataFrame:
        marks = part.draws.quantile(list(LEVELS), dim=SAMPLE_DIMS)
        columns = {"mean": part.draws.mean(SAMPLE_DIMS)} | {
            f"p{level:.0%}".rstrip("%"): marks.sel(quantile=level, drop=True) for level in LEVELS
        }
        columns |= {"lower": part.lower, "upper": part.upper}
        frame = pd.DataFrame({key: value.to_series() for key, value in columns.items()}).reset_index()
        spans = {label: span for label, span in zip(self.wins.draws["period"].values.tolist(), self.periods, strict=True)}
        spans[ALL] = (self.periods[0][0], self.periods[-1][1])
        frame = frame.assign(
            quantity=name, begin=[spans[one][0] for one in frame["period"]], end=[spans[one][1] for one in frame["period"]]
        )
        first = [*([] if self.by is None else [self.by]), "quantity", "period", "begin", "end"]
        frame = frame[[*first, *columns]]
        return frame.assign(interval=str(part.interval), unit=part.unit)

    def __repr__(self) -> str:
        return f"<Forecast of {self.source}\n{self.table().to_string(index=False)}>"


def forecast(
    log: EventLog, *, horizon: int, periods: int = 1, seed: int, by: str | None = None, fit: CompetingExitsFit | None = None,
    intake: float = 1.0, draws: int = 500, chains: int = 4,
) -> Forecast:  # fmt: skip
    """Foretell wins and revenue from the end of observation on.

    Parameters
    ----------
    log : EventLog
        Open deals, past arrivals and won amounts are counted in it.
    horizon : int
        How far to look, in the log's unit.
    periods : int
        Equal periods to divide it into.
    seed : int
        Of the fit and of the simulation.
    by : str, optional
        Segment column, such as ``"owner"`` or ``"channel"``: a forecast for each of its labels, learned jointly.
    fit : CompetingExitsFit
        Its group is ``by``, or there is none and all groups share its chances; fitted here where not given (with groups, by
        the normal approximation).
    intake : float
        New deals as a multiple of the present rate: 0 for the open pipeline alone.
    draws, chains : int
        Of the fit, where it is made here.

    Returns
    -------
    Forecast

    Raises
    ------
    DataError
        A horizon that is not a whole number of equal periods, a fit of other stages or groups, a segment that the log does not have.

    Notes
    -----
    Not foreseen: a season, a change of the team or of the market. A deal's chance does not depend on its amount. Open deals whose entry to
    their stage has no date are given the median age of the others in it.
    """
    _check(log, horizon, periods, by, fit, intake)
    groups = () if by is None else (by,)
    length = horizon // periods
    known = log.pipeline(groups, every=length)
    if fit is None:
        model, method = CompetingExits(group=by), "normal" if by else "exact"
        fit = model.fit(known.hazards, seed=seed, method=method, draws=draws, chains=chains)  # type: ignore[arg-type]
    cells, came = known.open, known.arrivals
    labels = tuple(sorted({*cells[by], *came[by], *fit.labels}, key=str)) if by else (None,)
    prices = Prices.of(known.amounts, labels=labels, by=by)
    rng, size = np.random.default_rng([seed, 33]), fit.record.chains * fit.record.draws
    rates = intake * _intake(came, known.spans, labels, by).draw(rng, draws=size, periods=periods)
    parts = [_group(fit, cells if by is None else cells[cells[by] == label], label, rates[:, place], length, rng)
             for place, label in enumerate(labels)]  # fmt: skip
    standing, wins, priced, unpriced = (np.stack(part, axis=1) for part in zip(*parts, strict=True))
    revenue: Estimate | NotIdentified
    ends = _ends(log, length, periods)
    shaped = _Shaped(fit=fit, by=by, labels=labels, periods=[f"{begin.date()} to {_last(end)}" for begin, end in ends])
    if isinstance(prices, NotIdentified):
        revenue = prices
    else:
        money = priced + prices.total(rng, prices.draw(rng, draws=size)[..., None], unpriced)
        revenue = shaped.estimate(money, known.currency or "money", f"revenue of {log.source}")
    return Forecast(wins=shaped.estimate(wins, "deal", f"deals of {log.source} won"), revenue=revenue,
                    standing=shaped.estimate(standing, "deal", f"deals of {log.source} won that are open at the end of observation"),
                    expected_new=shaped.estimate(rates, "deal", f"deals coming in to {log.source} on average"),
                    by=by, periods=ends, fit=fit, pipeline=known, source=log.source)  # fmt: skip


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _Shaped:
    """How flat draws by group and period become an estimate."""

    fit: CompetingExitsFit
    by: str | None
    labels: tuple[object, ...]
    periods: list[str]

    def estimate(self, values: np.ndarray, unit: str, words: str) -> Estimate:
        values = values.reshape(self.fit.record.chains, self.fit.record.draws, *values.shape[1:])
        coords: dict[str, Any] = {self.by: [str(one) for one in self.labels]} if self.by else {}
        values = values if self.by else values[:, :, 0]
        coords["period"] = self.periods
        return Estimate(draws=xr.DataArray(values, dims=(*SAMPLE_DIMS, *coords), coords=coords), unit=unit, description=words)


def _group(
    fit: CompetingExitsFit, cells: pd.DataFrame, label: object, rates: np.ndarray, length: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Wins of those open, all wins, what the priced ones bring, and wins without a price, each of shape (n_draws, n_periods)."""
    periods = rates.shape[-1]
    ends = [length * (place + 1) for place in range(periods)]
    stage = cells["stage"].map({name: place for place, name in enumerate(fit.stages)}).to_numpy(dtype=int)
    middle = cells.groupby("stage")["age"].transform("median").fillna(0)
    age = cells["age"].fillna(middle).to_numpy(dtype=float).astype(int)
    chance, coming = passages(fit, label=label if fit.model.group else None, stage=stage, age=age, ends=ends)
    rest = np.clip(1 - chance.sum(axis=-1, keepdims=True), 0, None)
    won = rng.multinomial(cells["n"].to_numpy(), _normal(np.concatenate([chance, rest], axis=-1)))[..., :-1]
    new = rng.poisson(np.einsum("di,dij->dj", rates, coming))
    amount = cells["amount"].to_numpy()
    priced = np.isfinite(amount)
    known = np.einsum("dcp,c->dp", won[:, priced], amount[priced])
    return won.sum(axis=1), won.sum(axis=1) + new, known, won[:, ~priced].sum(axis=1) + new


def _normal(chances: np.ndarray) -> np.ndarray:
    return chances / chances.sum(axis=-1, keepdims=True)


def _intake(came: pd.DataFrame, spans: float, labels: tuple[object, ...], by: str | None) -> Intake:
    whole = max(int(spans), 1)
    counts = np.zeros((len(labels), whole), dtype=int)
    inside = came[came["span"].between(0, whole - 1)]
    place = inside[by].map({label: k for k, label in enumerate(labels)}).to_numpy(dtype=int) if by else np.zeros(len(inside), int)
    np.add.at(counts, (place, whole - 1 - inside["span"].to_numpy(dtype=int)), inside["n"].to_numpy(dtype=int))
    return Intake(counts=counts, exposure=min(spans, 1.0) or 1.0)


def _ends(log: EventLog, length: int, periods: int) -> tuple[tuple[pd.Timestamp, pd.Timestamp], ...]:
    begin = log.window.end
    cuts = [begin + pd.Timedelta(seconds=round(log.window.days(length * place) * 86400)) for place in range(periods + 1)]
    return tuple(pairwise(cuts))


def _last(end: pd.Timestamp) -> str:
    """Last day of a period that ends just before ``end``."""
    return str((end - pd.Timedelta(microseconds=1)).date())


def _summed(part: Estimate | NotIdentified, dim: str) -> Estimate | NotIdentified:
    return part.sum(dim).described(part.description) if isinstance(part, Estimate) else part


def _check(log: EventLog, horizon: int, periods: int, by: str | None, fit: CompetingExitsFit | None, intake: float) -> None:
    problems = []
    whole = all(hasattr(value, "__index__") and value >= 1 for value in (horizon, periods))
    if not whole or horizon % periods:
        found = f"expected a whole number of equal periods of whole {log.window.unit}s, found {horizon!r} in {periods!r} periods"
        problems.append(Problem("horizon, periods", found, "for example horizon=90, periods=3"))
    if not intake >= 0:
        problems.append(Problem("intake", f"expected a multiple of 0 or more, found {intake!r}"))
    if fit is not None and fit.model.group not in (None, by):
        problems.append(Problem("fit", f"expected one with group {by!r} or none, found {fit.model.group!r}"))
    required = tuple(name for name in log.stage_names if name not in log.optional)
    if fit is not None and fit.data.stages != required:
        problems.append(Problem("fit", f"expected the stages {list(required)}, found {list(fit.data.stages)}"))
    if problems:
        raise DataError("a forecast", problems)
