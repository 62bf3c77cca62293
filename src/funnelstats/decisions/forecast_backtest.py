"""Would the forecast have been right? Made again as of past moments, from what was known then, beside what came.

Beside it stand what sales teams use: the weighted pipeline, every open deal's amount times the chance of its stage, and the last periods
continued.  Both are bare numbers, whose CRPS is their absolute error; so ``skill = 1 - CRPS / MAE`` is above nought where the forecast says more
than they do (Gneiting & Raftery 2007, J. Amer. Statist. Assoc. 102:359-378).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.events import EventLog
from funnelstats.data.pipeline import Pipeline
from funnelstats.data.stages import StageCounts
from funnelstats.decisions.forecast import ALL, LEVELS, Forecast, forecast
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate
from funnelstats.interval import DEFAULT, Interval


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ForecastBacktest:
    """Forecasts of the past beside what came.

    Attributes
    ----------
    table : DataFrame
        One row for each origin, quantity and period, ``all`` being the whole horizon: ``origin, quantity, period, observed, mean, p10, p50, p90, lower,
        upper, unit, inside, crps``, and for the whole horizon ``weighted`` (pipeline) and ``recent`` (the last periods continued).
    interval : Interval
    horizon : str
        In words.
    units : dict of str to str
        Of each quantity.
    """

    table: pd.DataFrame
    interval: Interval
    horizon: str
    units: dict[str, str]

    def scores(self) -> pd.DataFrame:
        """Coverage and skill by quantity.

        Returns
        -------
        DataFrame
            Index ``quantity``: ``forecasts`` and ``inside`` (single periods), ``coverage`` with Wilson bounds (which take forecasts of overlapping spans as if
            they were independent), ``p10_p90`` (share between P10 and P90); and of the whole horizon: ``crps``, ``mae_weighted``, ``mae_recent``,
            ``skill_weighted``, ``skill_recent``, ``bias`` and ``bias_weighted`` (mean over observed, less 1), ``unit``.
        """
        rows = {}
        wilson = Interval(prob=self.interval.prob, kind="wilson")
        for name, part in self.table.groupby("quantity", sort=False):
            single, whole = part[part["period"] != ALL], part[part["period"] == ALL]
            inside, n = int(single["inside"].sum()), len(single)
            low, high = wilson.of_counts(np.array(inside), np.array(n))
            crps = float(whole["crps"].mean())
            errors = {kind: float((whole[kind] - whole["observed"]).abs().mean()) for kind in ("weighted", "recent")}
            rows[name] = {"forecasts": n, "inside": inside, "coverage": inside / n, "coverage_lower": float(low), "coverage_upper": float(high),
                          "p10_p90": float(((single["observed"] >= single["p10"]) & (single["observed"] <= single["p90"])).mean()), "crps": crps,
                          **{f"mae_{kind}": error for kind, error in errors.items()},
                          **{f"skill_{kind}": 1 - crps / error if error > 0 else np.nan for kind, error in errors.items()},
                          **{key: float(whole[kind].sum() / whole["observed"].sum() - 1) if whole["observed"].sum() else np.nan
                             for key, kind in (("bias", "mean"), ("bias_weighted", "weighted"))},
                          "unit": self.units[str(name)]}  # fmt: skip
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")

    def __str__(self) -> str:
        scores = self.scores()
        said = [f"{name}: {row.inside} of {row.forecasts} inside their {self.interval}, skill over the weighted pipeline {row.skill_weighted:.0%}"
                for name, row in scores.iterrows()]  # fmt: skip
        return f"{self.table['origin'].nunique()} origins, {self.horizon} ahead; {'; '.join(said)}"

    def __repr__(self) -> str:
        return f"<ForecastBacktest {self}>"


def backtest_forecast(
    log: EventLog, *, horizon: int, periods: int = 1, origins: int | Sequence[object] = 6, seed: int, by: str | None = None,
    chances: Mapping[str, float] | None = None, probability: str | None = None, interval: Interval = DEFAULT, draws: int = 250,
) -> ForecastBacktest:  # fmt: skip
    """Forecast again as of past moments.

    Parameters
    ----------
    log : EventLog
    horizon, periods
        As for :func:`~funnelstats.decisions.forecast.forecast`.
    origins : int or sequence of dates
        Ends of observation to go back to; a number of them lie one period apart, the last where the horizon ends with the log.
    seed : int
    by : str, optional
        Forecast by group, as for :func:`~funnelstats.decisions.forecast.forecast`; what is scored is the total.
    chances, probability : optional
        Of the weighted pipeline: stage to chance as the CRM has it, or the attribute that holds each deal's own (as a share or in per cent); the shares
        won of the deals decided by then where neither is given.
    interval : Interval
        Whose coverage is counted.
    draws : int
        Of each of four chains.

    Raises
    ------
    DataError
        Origins outside the log, or before anything was known.

    Notes
    -----
    A snapshot export knows owners and amounts as they are today, not as they were: then the back-test knows too much. Where stages are logged
    with their dates and values, it does not.
    """
    moments = _moments(log, horizon, periods, origins)
    rows: list[dict[str, Any]] = []
    units: dict[str, str] = {}
    ahead = pd.Timedelta(days=log.window.days(horizon))
    came = log.wins(since=log.split(moments[0])[0].window.end - ahead)
    for at in moments:
        before, _ = log.split(at)
        made = forecast(before, horizon=horizon, periods=periods, seed=seed, by=by, draws=draws).total()
        standard = _standards(before, made, chances, probability)
        recent = _between(came, [(made.periods[0][0] - ahead, made.periods[0][0])])
        for name in ("wins", "revenue"):
            part = getattr(made, name)
            if isinstance(part, Estimate):
                units[name] = part.unit
                beside = {"weighted": standard[name], "recent": float(recent[name].sum())}
                rows += _scored(at, name, part, _between(came, made.periods)[name], beside, interval)
    return ForecastBacktest(table=pd.DataFrame(rows), interval=interval, units=units, horizon=f"{horizon} {log.window.unit}s")


def crps(draws: np.ndarray, observed: float) -> float:
    """Continuous ranked probability score of a sample: mean distance to what came, less half the mean distance between two draws.

    Examples
    --------
    >>> crps(np.array([3.0]), 5.0), crps(np.array([0.0, 2.0]), 1.0)
    (2.0, 0.5)
    """
    x = np.sort(np.asarray(draws, dtype=float).ravel())
    n = len(x)
    between = 2 * float(x @ (2 * np.arange(1, n + 1) - n - 1)) / n**2
    return float(np.abs(x - observed).mean()) - between / 2


def stage_chances(counts: StageCounts) -> dict[str, float]:
    """Share won of the deals that are decided and had reached each stage: what a CRM's default probabilities stand for.

    Examples
    --------
    >>> frame = pd.DataFrame({"stage": ["Lead", "Demo", "Won"], "entered": [100, 40, 10], "advanced": [40, 10, 0], "lost": [50, 20, 0],
    ...                       "open": [10, 10, 0], "maturing": 0})
    >>> stage_chances(StageCounts(frame=frame, stages=("Lead", "Demo", "Won")))
    {'Lead': 0.125, 'Demo': 0.3333333333333333}
    """
    frame = counts.total().frame.set_index("stage")
    won = float(frame["entered"].iloc[-1])
    lost = frame["lost"].iloc[:-1][::-1].cumsum()[::-1]
    return {str(stage): won / (won + gone) if won + gone else np.nan for stage, gone in lost.items()}


def chances_of(known: Pipeline, chances: Mapping[str, float] | None, probability: str | None) -> np.ndarray:
    """Chance of being won as the CRM has it, for each row of what is open; a share won so far where it has none."""
    shares = stage_chances(known.counts)
    missing = [] if chances is None else [stage for stage in shares if stage not in chances]
    if missing:
        raise DataError("the weighted pipeline", [Problem("chances", f"expected one for each stage, found none for {missing}")])
    by_stage = known.open["stage"].map(dict(chances or shares)).to_numpy(dtype=float)
    if probability is None:
        return np.asarray(by_stage)
    stated = pd.to_numeric(known.open[probability], errors="coerce").to_numpy(dtype=float)
    scale = 100.0 if np.nanmax(stated, initial=0.0) > 1 else 1.0
    return np.where(np.isfinite(stated), stated / scale, by_stage)


def _standards(
    log: EventLog, made: Forecast, chances: Mapping[str, float] | None, probability: str | None
) -> dict[str, float]:  # fmt: skip
    """Weighted pipeline: chances and amounts times chances of what is open; a deal without an amount counts with the mean of those won."""
    known = made.pipeline if probability is None else log.pipeline(probability, every=1)
    n, own = known.amounts["n"].to_numpy(dtype=float), known.amounts["mean"].fillna(0).to_numpy(dtype=float)
    mean = float(n @ own / n.sum()) if n.sum() else 0.0
    expected = known.open["n"].to_numpy() * chances_of(known, chances, probability)
    return {"wins": float(expected.sum()), "revenue": float(expected @ known.open["amount"].fillna(mean).to_numpy())}


def _between(came: pd.DataFrame, spans: Sequence[tuple[pd.Timestamp, pd.Timestamp]]) -> pd.DataFrame:
    """Wins and revenue of each span."""
    rows = [came[(came["at"] >= begin) & (came["at"] < end)] for begin, end in spans]
    return pd.DataFrame(
        {"wins": [float(part["n"].sum()) for part in rows], "revenue": [float(part["amount"].sum()) for part in rows]}
    )


def _scored(
    at: pd.Timestamp, name: str, part: Estimate, came: pd.Series, standard: Mapping[str, float], interval: Interval
) -> list[dict[str, Any]]:  # fmt: skip
    """One row for each period, and one for all of them."""
    labels = [str(label) for label in part.draws["period"].values]
    flat = part.draws.values.reshape(-1, len(labels))
    values = {**dict(zip(labels, zip(flat.T, came, strict=True), strict=True)), ALL: (flat.sum(axis=1), came.sum())}
    rows = []
    for label, (draws, observed) in values.items():
        low, high = interval.of(draws)
        p10, p50, p90 = np.quantile(draws, LEVELS)
        rows.append({"origin": at, "quantity": name, "period": label, "observed": float(observed), "mean": float(draws.mean()),
                     "p10": p10, "p50": p50, "p90": p90, "lower": float(low), "upper": float(high),
                     "unit": part.unit, "inside": bool(low <= observed <= high), "crps": crps(draws, float(observed)),
                     **(standard if label == ALL else {})})  # fmt: skip
    return rows


def _moments(log: EventLog, horizon: int, periods: int, origins: int | Sequence[object]) -> list[pd.Timestamp]:
    """Last moments of observation, in order; whole days where the log ends with one."""
    if periods < 1 or horizon < 1 or horizon % periods:
        found = f"expected a whole number of equal periods, found {horizon!r} in {periods!r}"
        raise DataError("the back-test", [Problem("horizon, periods", found)])
    ahead = pd.Timedelta(days=log.window.days(horizon))
    if isinstance(origins, int):
        step = pd.Timedelta(days=log.window.days(horizon // periods))
        last = (log.window.end - ahead).floor("D") - pd.Timedelta(days=1)
        moments = [(last - place * step).normalize() for place in range(origins)][::-1]
    else:
        moments = sorted(pd.Timestamp(one) for one in origins)  # type: ignore[arg-type]
    latest = log.window.end - ahead
    late = [one for one in moments if log.split(one)[0].window.end > latest] if moments else []
    if not moments or late:
        found = "found none" if not moments else f"found {late[0].date()}"
        what = f"expected origins at least {horizon} {log.window.unit}s before {log.window.as_of.date()}, {found}"
        raise DataError("the back-test", [Problem("origins", what)])
    return moments
