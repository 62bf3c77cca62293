"""What do competing exits say of those who are still open? Incidence by age, eventual conversion, and what an open deal will do."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import expit, logit

from funnelstats.data.stages import StageHazards
from funnelstats.distributions.piecewise import exits_between
from funnelstats.errors import DataError, ExtrapolationWarning, ImmatureWarning, Problem
from funnelstats.estimate import SAMPLE_DIMS, Estimate
from funnelstats.inference.diagnose import Check, Diagnosis
from funnelstats.models.ages import AgeTable, unit_of
from funnelstats.models.bands import Bands
from funnelstats.models.converted import Converted, so_far
from funnelstats.models.model import Fit

CAUSES = ("advanced", "lost", "open")
#: What sets a group apart.
EFFECTS = ("pace", "direction", "drift")
#: Points of a curve where no ages are asked for.
POINTS = 24


@lru_cache(maxsize=8)  # every question to a fit needs them, and hazards are compared by identity
def _layout(data: StageHazards, min_exits: int) -> tuple[AgeTable, Bands]:
    table = AgeTable.of(data)
    return table, Bands.of(table, min_exits=min_exits)


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class CompetingExitsFit(Fit[Any, StageHazards]):
    """Fit of :class:`~funnelstats.models.exits.CompetingExits`."""

    # -- what it is asked ---------------------------------------------------------------------------------------
    def predict(self, new: float | None = None) -> Estimate:
        """Share of those who enter each stage that advance: by the model's horizon, by ``new``, or eventually.

        Returns
        -------
        Estimate, dims (chain, draw, [group,] stage)
        """
        horizon = self.model.horizon if new is None else new
        return self._advancing(np.inf if horizon is None else float(horizon))

    def converted(self, *, within: float | None = None) -> Converted:
        """Share of those who enter each stage that advance: so far, within a time, and eventually, side by side.

        Parameters
        ----------
        within : float, optional
            Time since entering the stage, in the unit of the data; the model's horizon where not given.

        Warns
        -----
        ImmatureWarning
            In some stage over 5 % are expected to be open at the last age watched: "eventually" then rests on what the data do not
            show.
        ExtrapolationWarning
            ``within`` is longer than anybody was watched in some stage.
        """
        table, unit = self._table(), unit_of(self.data)
        horizon = self.model.horizon if within is None else within
        dims: dict[str, list[str]] = {self.model.group: self.labels} if self.model.group else {}
        entered, advanced = table.at_risk[..., 0], table.exits[0].sum(axis=-1)
        if not self.model.group:
            entered, advanced = entered[0], advanced[0]
        shape = (self.record.chains, self.record.draws)
        now = so_far(
            advanced, entered, coords={**dims, "stage": list(table.stages)}, rng=self.rng("so far"), shape=shape, unit=unit
        )
        by_then = None
        if horizon is not None:
            short = [stage for stage, watched in zip(table.stages, self._bands().watched, strict=True) if watched < horizon]
            if short:
                found = f"nobody was watched for {horizon:g} {unit}s in {', '.join(short)}: the last chances of leaving are carried on"
                warnings.warn(found, ExtrapolationWarning, stacklevel=2)
            by_then = self._advancing(float(horizon))
        still = self.open_at_end().point
        young = [f"{float(value):.0%} in {stage}" for stage, value in zip(table.stages, still, strict=True) if value > 0.05]
        if young:
            said = f"still open at the last age watched: {', '.join(young)} (rule: at most 5%); eventual conversion rests on the last age band"
            warnings.warn(said, ImmatureWarning, stacklevel=2)
        return Converted(so_far=now, within=by_then, eventually=self._advancing(np.inf), notes=tuple(young))

    def incidence(self, ages: Sequence[float] | None = None) -> Estimate:
        """Share advanced, lost and still open by each age.

        Parameters
        ----------
        ages : sequence of float, optional
            Whole units since entering the stage; 24 of them up to the last age watched where not given.

        Returns
        -------
        Estimate, dims (chain, draw, [group,] stage, cause, age)
            The three causes add up to one.
        """
        last = max(int(self._bands().watched.max()), 1)
        at = np.unique(np.linspace(0, last, POINTS + 1).round())[1:] if ages is None else np.asarray(ages, dtype=float)
        self._check_ages("ages", at)
        parts = [np.stack(self._between(stage, np.zeros_like(at), at), axis=-2) for stage in self.stages]
        return self._estimate(np.stack(parts, axis=-3), "share advanced, lost and open by age in the stage",
                              stage=list(self.stages), cause=list(CAUSES), age=at)  # fmt: skip

    def continue_from(self, stage: str, *, age: Any, horizon: float | None = None, to: str = "next") -> Estimate:
        """Chance that an entity still open in ``stage`` at ``age`` advances.

        Parameters
        ----------
        stage : str
        age : float or sequence of float
            Whole units it has spent there.
        horizon : float, optional
            Time from now by which it advances; eventually where not given.
        to : {"next", "won"}
            The next stage, or all the way to the last (eventually only).

        Returns
        -------
        Estimate, dims (chain, draw, [group,] [age])
        """
        at = np.atleast_1d(np.asarray(age, dtype=float))
        problems = []
        if stage not in self.stages:
            problems.append(Problem("stage", f"expected one of {list(self.stages)}, found {stage!r}"))
        if to not in ("next", "won") or (to == "won" and horizon is not None):
            problems.append(Problem("to", f"expected 'next', or 'won' without a horizon, found {to!r}"))
        if problems:
            raise DataError("the open deals", problems)
        self._check_ages("age", at)
        if horizon is not None:
            self._check_ages("horizon", np.array([horizon], dtype=float))
        advanced, _, _ = self._between(stage, at, at + (np.inf if horizon is None else horizon))
        if to == "won":
            for later in self.stages[self.stages.index(stage) + 1 :]:
                advanced = advanced * self._between(later, np.zeros(1), np.array([np.inf]))[0]
        when = "eventually" if horizon is None else f"within {horizon:g} more {unit_of(self.data)}s"
        goal = self.data.stages[-1] if to == "won" else self.data.stages[self.stages.index(stage) + 1]
        whole = self._estimate(advanced, f"chance of reaching {goal} {when}, of those still open in {stage}", age=at)
        return whole if np.ndim(age) else replace(whole, draws=whole.draws.isel(age=0, drop=True))

    def new_group(self) -> Estimate:
        """Eventual conversion of each stage in a group never seen, dims (chain, draw, stage): wider than that of any known group."""
        if not self.model.group:
            raise DataError(
                "a new group", [Problem("group", "expected a model with groups, found none", 'use CompetingExits(group="owner")')]
            )
        chances = self._chances(self._new_effects("new group"))
        forever = [self._stage_exits(chances, stage, np.zeros(1), np.array([np.inf]))[0][..., 0] for stage in self.stages]
        draws = xr.DataArray(np.stack(forever, axis=-1), dims=(*SAMPLE_DIMS, "stage"), coords={"stage": list(self.stages)})
        return Estimate(draws=draws, description=f"share that advances eventually, in a new {self.model.group}")

    def chances(self, label: object = None) -> tuple[np.ndarray, np.ndarray, Bands]:
        """Chance of leaving in a unit and share advancing in each cell of stage and age band, with the bands.

        Parameters
        ----------
        label : object, optional
            A group; one that the fit has not seen gets effects drawn at random. Left out where there are no groups.

        Returns
        -------
        leave, share : ndarray, shape (n_draws, n_cells)
        bands : Bands
        """
        effects: dict[str, np.ndarray] = {}
        if self.model.group and str(label) in self.labels:
            posterior, place = self.tree["posterior"].to_dataset(), self.labels.index(str(label))
            effects = {part: posterior[part].values[:, :, place] for part in EFFECTS}
        elif self.model.group:
            effects = self._new_effects(f"new group {label}")
        leave, share = self._chances(effects)
        return leave.reshape(-1, leave.shape[-1]), share.reshape(-1, share.shape[-1]), self._bands()

    def open_at_end(self) -> Estimate:
        """Share still open at the last age watched in each stage, groups weighted by their entrants, dims (chain, draw, stage)."""
        weight = self._table().at_risk[..., 0]
        weight = weight / np.maximum(weight.sum(axis=0), 1)
        parts = []
        for k, stage in enumerate(self.stages):
            inside = self._between(stage, np.zeros(1), self._bands().watched[[k]].astype(float))[2][..., 0]
            empty = not weight[:, k].any()
            parts.append(np.ones(inside.shape[:2]) if empty else inside @ weight[:, k] if self.model.group else inside)
        draws = xr.DataArray(np.stack(parts, axis=-1), dims=(*SAMPLE_DIMS, "stage"), coords={"stage": list(self.stages)})
        return Estimate(draws=draws, description="share still open at the last age watched")

    def simulate(self, *, seed: int) -> StageHazards:
        """As many entrants to each stage, watched for as long, with new exits.

        At each age the exits are multinomial; of those who stay, the share that ceased to be watched in the data does so.
        """
        rng, table, bands = self.rng("simulate", seed), self._table(), self._bands()
        leave, share = self._chances_of(self.one_draw(seed))
        cell = bands.at(table.at_risk.shape[-1])
        stayed = table.at_risk - table.exits.sum(axis=0)
        leaving = np.where(stayed > 0, table.censored / np.maximum(stayed, 1), 1.0)
        at_risk, exits, censored = (np.zeros_like(part) for part in (table.at_risk, table.exits, table.censored))
        inside = table.at_risk[..., 0].copy()
        for age in range(at_risk.shape[-1]):
            at_risk[..., age] = inside
            gone = rng.binomial(inside, leave[:, cell[:, age]])
            exits[0][..., age] = rng.binomial(gone, share[:, cell[:, age]])
            exits[1][..., age] = gone - exits[0][..., age]
            censored[..., age] = rng.binomial(inside - gone, leaving[..., age])
            inside = inside - gone - censored[..., age]
        again = replace(table, at_risk=at_risk, exits=exits, censored=censored)
        return again.hazards(self.data, source=f"simulated from {self.record.id}")

    def judged(self, checks: tuple[Check, ...], *, largest_open: float) -> "CompetingExitsFit":
        """Return the fit with its checks and that of the length of the follow-up."""
        still = self.open_at_end().point
        value, where = float(still.max()), str(still.stage.values[int(np.argmax(still.values))])
        check = Check(name="largest share open at the last age", value=value, bound=f"at most {largest_open:.0%}", where=where,
                      verdict="PASS" if value <= largest_open else "REVIEW")  # fmt: skip
        return replace(self, diagnosis=Diagnosis(checks=(*checks, check), method=self.diagnosis.method))

    # -- how ----------------------------------------------------------------------------------------------------
    @property
    def stages(self) -> tuple[str, ...]:
        """Stages that can be left."""
        return self.data.stages[:-1]

    @property
    def labels(self) -> list[str]:
        """Names of the groups."""
        return [str(label) for (label,) in self._table().segments] if self.model.group else []

    def _table(self) -> AgeTable:
        return _layout(self.data, self.model.min_exits)[0]

    def _bands(self) -> Bands:
        return _layout(self.data, self.model.min_exits)[1]

    def _advancing(self, horizon: float) -> Estimate:
        self._check_ages("horizon", np.array([horizon]))
        at = (np.zeros(1), np.array([horizon]))
        parts = [self._between(stage, *at)[0][..., 0] for stage in self.stages]
        if np.isfinite(horizon):
            words = f"share that advances within {horizon:g} {unit_of(self.data)}s of entering the stage"
        else:
            most = self.open_at_end().point.max()
            words = ("share that advances eventually, if those open at the last age watched (at most "
                     f"{float(most):.1%} of a stage) go on as in its last age band")  # fmt: skip
        return self._estimate(np.stack(parts, axis=-1), words, stage=list(self.stages))

    def _estimate(self, values: np.ndarray, description: str, **coords: Any) -> Estimate:
        labels = {self.model.group: self.labels, **coords} if self.model.group else coords
        return Estimate(draws=xr.DataArray(values, dims=(*SAMPLE_DIMS, *labels), coords=labels), description=description)

    def _between(self, stage: str, age: np.ndarray, until: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Exits of one stage, each of shape (chain, draw, [group,] n)."""
        posterior = self.tree["posterior"].to_dataset()
        if not self.model.group:
            return self._stage_exits(self._chances({}), stage, age, until)
        # group by group: all of them at once would need as many times the memory
        parts = [self._stage_exits(self._chances({part: posterior[part].values[:, :, place] for part in EFFECTS}),
                                   stage, age, until) for place in range(len(self.labels))]  # fmt: skip
        advanced, lost, inside = (np.stack(column, axis=2) for column in zip(*parts, strict=True))
        return advanced, lost, inside

    def _stage_exits(
        self, chances: tuple[np.ndarray, np.ndarray], stage: str, age: np.ndarray, until: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        bands = self._bands()
        cells = np.flatnonzero(bands.stage == self.stages.index(stage))
        leave, share = (part[..., cells] for part in chances)
        return exits_between(leave, share, starts=bands.start[cells], age=age, until=until)

    def _chances(self, effects: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Chance of leaving and share advancing in each cell, under effects of shape (chain, draw, stage), of drift (..., cell)."""
        posterior = self.tree["posterior"].to_dataset()
        leave, share = posterior["leave"].values, posterior["share"].values
        return (leave, share) if not effects else self._shifted(leave, share, effects)

    def _new_effects(self, purpose: str) -> dict[str, np.ndarray]:
        """Effects of a group never seen."""
        posterior, rng = self.tree["posterior"].to_dataset(), self.rng(purpose)
        widths = {part: posterior[f"{part}_sd"].values for part in EFFECTS}
        widths["drift"] = widths["drift"][..., self._bands().stage]
        return {part: width * rng.normal(size=width.shape) for part, width in widths.items()}

    def _chances_of(self, draw: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`_chances` for one joint draw and every group, shape (n_groups, n_cells)."""
        leave, share = draw["leave"][None], draw["share"][None]
        return self._shifted(leave, share, draw) if self.model.group else (leave, share)

    def _shifted(self, leave: np.ndarray, share: np.ndarray, effects: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        stage = self._bands().stage
        pace = effects["pace"][..., stage] + effects["drift"]
        return expit(logit(leave) + pace), expit(logit(share) + effects["direction"][..., stage])

    def _check_ages(self, name: str, ages: np.ndarray) -> None:
        if not np.all(ages >= 0) or not ages.size:
            raise DataError("competing exits", [Problem(name, f"expected times of 0 or more, found {ages.tolist()}")])
