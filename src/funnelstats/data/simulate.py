"""What would an export look like if the truth were known: a made-up B2B world with consultants, channels and regions.

An entity of consultant o, channel c and region r that has entered stage k eventually advances with probability
``p_k = expit(logit(rates_k) + u_ok + v_ck + w_rk)`` and is lost otherwise.  Given the way out, the time in the stage is
Weibull, ``P(T > t) = exp(-(t / scale)^shape)``, with its own scale for advancing and for being lost (the mixture form of
competing exits: Larson & Dinse 1985, Appl. Statist. 34:201-211).  The effects u, v, w are normal, correlated over stages.
Whatever happens after ``as_of`` is known to the :class:`~funnelstats.data.truth.Truth` and hidden from the events.

Only uniform numbers are drawn and then transformed, so equal seeds give equal bytes whatever the NumPy release.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.defects import DAY, stamps
from funnelstats.data.dirt import inject, shares
from funnelstats.data.truth import Truth
from funnelstats.data.world import World
from funnelstats.errors import DataError, Problem
from funnelstats.window import ObservationWindow


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SimulatedCrm:
    """An event log whose truth is known.

    Parameters
    ----------
    events : DataFrame
        One row per stage entry seen by ``as_of``: ``entity, stage, at, owner, channel, region, amount, currency``. Dirty worlds
        also have ``deleted`` (bool) and ``merged_into`` (id or missing).
    truth : Truth
        Rates, effects, durations, amounts and what became of every entity in the end.
    world : World
        The specification.
    window : ObservationWindow
        First possible entry, end of observation, unit day.
    seed : int
        The seed.
    injected : dict of str to int
        Number of entities spoilt, for each kind of defect.
    defects : DataFrame
        Columns ``entity, defect``: which ones.
    """

    events: pd.DataFrame
    truth: Truth
    world: World
    window: ObservationWindow
    seed: int
    injected: dict[str, int] = field(default_factory=dict)
    defects: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"entity": [], "defect": []}, dtype="str"))

    @property
    def as_of(self) -> pd.Timestamp:
        """End of observation."""
        return self.window.as_of

    @property
    def stages(self) -> tuple[str, ...]:
        """Stage names in funnel order."""
        return self.world.stages

    @property
    def lost(self) -> str:
        """Name of the outcome that ends an entity without success."""
        return self.world.lost

    @property
    def mapping(self) -> dict[str, Any]:
        """What ``read_crm(crm.events, mapping=crm.mapping, as_of=crm.as_of)`` needs to know about the columns."""
        columns = {name: name for name in ("owner", "channel", "region", "amount", "currency")}
        spec = {
            "stages": list(self.stages),
            "lost": [self.lost],
            "entity": "entity",
            "stage": "stage",
            "at": "at",
            "columns": columns,
        }
        return spec | ({"deleted": "deleted", "merged": "merged_into"} if "deleted" in self.events else {})

    def __repr__(self) -> str:
        spoilt = f", {sum(self.injected.values())} defects" if self.injected else ""
        people = f"{len(self.truth.outcomes):,} entities, {len(self.events):,} events{spoilt}"
        return f"<SimulatedCrm seed {self.seed}: {people}; {' > '.join(self.stages)}; {self.window}>"


def simulate_crm(
    *, seed: int, n_leads: int = 5_000, as_of: object = "2026-06-30", start: object = "2024-07-01",
    dirty: bool | float | dict[str, float] = False, **world: Any,
) -> SimulatedCrm:  # fmt: skip
    """Simulate the event log of a sales team, with everything after ``as_of`` hidden but remembered.

    Parameters
    ----------
    seed : int
        Equal seeds give equal bytes.
    n_leads : int
        Entities that enter the first stage between ``start`` and ``as_of``.
    as_of, start : date
        End of observation, and first possible entry.
    dirty : bool, float or dict
        Share of entities spoilt by each kind of defect: one share for all of :data:`funnelstats.data.defects.KINDS`, True
        for 0.01, or a dict from kind to share. An entity has at most one defect. The truth is that of the clean world, which
        the same seed without ``dirty`` returns.
    **world
        Fields of :class:`~funnelstats.data.world.World`: ``stages``, ``rates``, ``owners``, ``owner_sd``, ``owner_gap`` and
        more. Other numbers of stages than five have rates and durations interpolated between the defaults.

    Returns
    -------
    SimulatedCrm

    Raises
    ------
    DataError
        A rate outside (0, 1), lengths that differ from the number of steps, an unknown defect, no leads.

    Examples
    --------
    >>> crm = simulate_crm(seed=1, n_leads=1000)
    >>> crm.truth.eventual()["entered"].tolist()[0], bool(crm.events["at"].max() <= crm.as_of)
    (1000, True)
    """
    spec = World.of(**world)
    if n_leads < 1:
        raise DataError("the simulated CRM", [Problem("n_leads", f"expected at least 1, found {n_leads}")])
    window = ObservationWindow.of(as_of, start=start, unit="day")
    wanted = shares(dirty)
    rng = np.random.default_rng([seed, 0])
    effects = spec.draw_effects(rng)
    codes = spec.draw_segments(rng, n_leads)
    entry = _entries(rng, n_leads, window=window, season=spec.season)
    advances = rng.random((n_leads, len(spec.stages) - 1)) < spec.probability(effects, codes)
    at, furthest = _timeline(rng, spec, entry, advances)
    truth = _truth(rng, spec, effects, codes, at, furthest)
    events = _observed(spec, truth.outcomes, at, furthest, window)
    defects = pd.DataFrame({"entity": [], "defect": []}, dtype="str")
    if wanted:
        events, defects = inject(events, share=wanted, seed=seed, stages=spec.stages, owners=spec.owners, as_of=window.as_of)
    injected = {kind: int((defects["defect"] == kind).sum()) for kind in wanted}
    return SimulatedCrm(events=events, truth=truth, world=spec, window=window, seed=seed, injected=injected, defects=defects)


def _entries(rng: np.random.Generator, n: int, *, window: ObservationWindow, season: float) -> np.ndarray:
    """Entry times in seconds since the epoch: a yearly wave, few at weekends, in working hours; in order of entry."""
    assert window.start is not None
    days = pd.date_range(window.start.normalize(), window.as_of, freq="D", inclusive="left")
    wave = 1 + season * np.sin(2 * np.pi * days.day_of_year.to_numpy() / 365.25)
    weight = wave * np.where(days.day_of_week.to_numpy() < 5, 1.0, 0.3)
    day = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(n))
    second = (8 + 10 * rng.random(n)) * 3600
    return np.sort(days.to_numpy().astype("datetime64[s]").astype("int64")[day] + second.astype("int64"))


def _timeline(
    rng: np.random.Generator, spec: World, entry: np.ndarray, advances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Seconds of entry to each stage and, in the last column, of the loss; -1 where it never happens. Uncensored."""
    n, steps = advances.shape
    scale = np.where(advances, spec.scale("advance"), spec.scale("lost"))
    stay = scale * (-np.log1p(-rng.random((n, steps)))) ** (1 / spec.shape)
    leave = entry[:, None] + np.cumsum(np.ceil(stay * DAY).astype("int64"), axis=1)
    furthest = np.cumprod(advances, axis=1).sum(axis=1)
    at = np.full((n, steps + 2), -1, dtype="int64")
    at[:, 0] = entry
    at[:, 1:-1] = np.where(np.arange(steps) < furthest[:, None], leave, -1)
    fell = np.flatnonzero(furthest < steps)
    at[fell, -1] = leave[fell, furthest[fell]]
    return at, furthest


def _truth(
    rng: np.random.Generator, spec: World, effects: pd.DataFrame, codes: dict[str, np.ndarray], at: np.ndarray,
    furthest: np.ndarray,
) -> Truth:  # fmt: skip
    n = len(furthest)
    medians, amount = spec.draw_amounts(rng, codes)
    labels = {name: pd.array(getattr(spec, f"{name}s"), dtype="str").take(code) for name, code in codes.items()}
    closed = np.where(at[:, -1] >= 0, at[:, -1], at[:, -2])
    outcomes = pd.DataFrame({
        "entity": "L" + pd.Series(np.arange(1, n + 1)).astype("str").str.zfill(max(6, len(str(2 * n)))),
        **labels,
        "entered": stamps(at[:, 0]),
        "furthest": pd.array(spec.stages, dtype="str").take(furthest),
        "won": furthest == len(spec.stages) - 1,
        "closed": stamps(closed),
        "amount": amount,
    })  # fmt: skip
    return Truth(world=spec, effects=effects, amounts=medians, outcomes=outcomes)


def _observed(
    spec: World, outcomes: pd.DataFrame, at: np.ndarray, furthest: np.ndarray, window: ObservationWindow
) -> pd.DataFrame:  # fmt: skip
    """Rows that a CRM would hold at ``as_of``, by entity and time."""
    seen = (at >= 0) & (stamps(at.ravel()) <= window.as_of.to_datetime64()).reshape(at.shape)
    entity, column = np.nonzero(seen)
    names = pd.array([*spec.stages, spec.lost], dtype="str")
    priced = np.where(column < len(spec.stages), column, furthest[entity]) >= spec.history_from
    columns = {"entity": outcomes["entity"].array.take(entity), "stage": names.take(column), "at": stamps(at[entity, column])}
    for name in ("owner", "channel", "region"):
        columns[name] = outcomes[name].array.take(entity)
    columns["amount"] = np.where(priced, outcomes["amount"].to_numpy()[entity], np.nan)
    return pd.DataFrame(columns).assign(currency=pd.Series(spec.currency, index=range(len(entity)), dtype="str"))
