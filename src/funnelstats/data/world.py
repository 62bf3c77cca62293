"""What a simulated sales team is like: its stages, its people, and how much each of them matters."""

from dataclasses import dataclass, fields
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from funnelstats.errors import DataError, Problem

STAGES = ("Lead", "Marketing", "Sales Lead", "Opportunity", "Won")
#: Defaults for five stages; other numbers of stages interpolate between them.
RATES, DAYS_TO_ADVANCE, DAYS_TO_LOSE = (0.60, 0.45, 0.55, 0.35), (6.0, 14.0, 20.0, 35.0), (25.0, 35.0, 40.0, 55.0)
FACTORS = ("owner", "channel", "region")
GIVEN = ("Ada", "Bruno", "Clara", "Dario", "Elena", "Felix", "Greta", "Hugo", "Irene", "Jonas", "Kira", "Leo",
         "Mira", "Nils", "Olga", "Pavel", "Quinn", "Rosa", "Stefan", "Tilda")  # fmt: skip
FAMILY = ("Birch", "Cedar", "Dale", "Elm", "Fern", "Grove", "Heath", "Ivy", "Juniper", "Knoll", "Lake", "Marsh",
          "North", "Oak", "Pine", "Reed", "Stone", "Thorn", "Vale", "Wood")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Specification of a simulated sales team.

    Parameters
    ----------
    stages : tuple of str
        Two or more names in funnel order; the last is success.
    lost : str
        Name of the other way out.
    rates : tuple of float
        For each step, the eventual chance of advancing where all effects are zero.
    owners, channels, regions : tuple of str
        Labels; ``World.of`` also takes how many to make up. Owners are the consultants.
    owner_sd, channel_sd, region_sd : float
        Standard deviation of their effects, on the logit of advancing. Zero makes all of them equal.
    owner_gap : float
        Added to the first owner's logit at every step.
    correlation : float
        Correlation of one segment's effects between two steps, in [0, 1].
    mix : float
        How unevenly owners share channels and regions: sd of the log odds. Zero gives every owner the same mix.
    days_to_advance, days_to_lose : tuple of float
        For each step, median days in the stage before the one or the other way out.
    shape : float
        Weibull shape of the time in stage; 1 is exponential, above 1 the hazard rises with age.
    season : float
        Amplitude of the yearly wave of entries, as a share of their mean.
    amount : float
        Median amount of a deal, in ``currency``.
    amount_sd : float
        Standard deviation of the logarithm of amounts within a region.
    amount_region_sd : float
        Standard deviation of the regions' log medians.
    currency : str
        ISO code.

    Raises
    ------
    DataError
        Every field that cannot be right.
    """

    stages: tuple[str, ...] = STAGES
    lost: str = "Lost"
    rates: tuple[float, ...] = RATES
    owners: tuple[str, ...] = tuple(f"{given} {family}" for given, family in zip(GIVEN[:12], FAMILY[:12], strict=True))
    channels: tuple[str, ...] = ("Web", "Trade Show", "Partner Referral", "Phone Inquiry", "Purchased List")
    regions: tuple[str, ...] = ("North", "East", "South", "West")
    owner_sd: float = 0.35
    channel_sd: float = 0.30
    region_sd: float = 0.20
    owner_gap: float = 0.0
    correlation: float = 0.5
    mix: float = 0.6
    days_to_advance: tuple[float, ...] = DAYS_TO_ADVANCE
    days_to_lose: tuple[float, ...] = DAYS_TO_LOSE
    shape: float = 1.3
    season: float = 0.3
    amount: float = 60_000.0
    amount_sd: float = 0.7
    amount_region_sd: float = 0.2
    currency: str = "CNY"

    @classmethod
    def of(cls, **options: Any) -> Self:
        """Build a world from what is given: defaults that fit the number of stages, labels made up where a number is given.

        Examples
        --------
        >>> World.of(stages=["Visit", "Trial", "Paid"], owners=2).owners
        ('Ada Birch', 'Bruno Cedar')
        """
        known = {f.name for f in fields(cls)}
        stray = [Problem(name, f"not a property of a simulated world; known: {', '.join(sorted(known))}")
                 for name in options if name not in known]  # fmt: skip
        if stray:
            raise DataError("the simulated world", stray)
        steps = len(options.get("stages", STAGES)) - 1
        for name, default in (("rates", RATES), ("days_to_advance", DAYS_TO_ADVANCE), ("days_to_lose", DAYS_TO_LOSE)):
            options.setdefault(name, np.interp(np.linspace(0, len(default) - 1, max(steps, 1)), range(len(default)), default))
        for name in FACTORS:
            if isinstance(options.get(f"{name}s"), int):
                options[f"{name}s"] = _made_up(name, options[f"{name}s"])
        for name, value in options.items():
            if not isinstance(value, str | int | float):
                numbers = name in ("rates", "days_to_advance", "days_to_lose")
                options[name] = tuple(float(one) if numbers else one for one in value)
        return cls(**options)

    def __post_init__(self) -> None:
        found, steps = [], len(self.stages) - 1
        if steps < 1:
            found.append(Problem("stages", f"expected two or more, found {list(self.stages)}"))
        named = {"stages": (*self.stages, self.lost)} | {f"{name}s": getattr(self, f"{name}s") for name in FACTORS}
        for name, labels in named.items():
            if len(set(labels)) < len(labels) or not labels:
                found.append(Problem(name, f"expected one or more names, each once, found {list(labels)}"))
        for name, most in (("rates", 1.0), ("days_to_advance", np.inf), ("days_to_lose", np.inf)):
            values = getattr(self, name)
            if len(values) != steps or not all(0 < value < most for value in values):
                kind = "chances between 0 and 1" if name == "rates" else "positive numbers of days"
                found.append(Problem(name, f"expected {steps} {kind}, one per step, found {list(values)}"))
        for least, most, names in ((0, np.inf, ("owner_sd", "channel_sd", "region_sd", "mix", "amount_sd", "amount_region_sd")),
                                   (0, 1, ("correlation", "season")), (1e-9, np.inf, ("shape", "amount"))):  # fmt: skip
            found += [Problem(name, f"expected from {least:g} to {most:g}, found {getattr(self, name)}")
                      for name in names if not least <= getattr(self, name) <= most]  # fmt: skip
        if found:
            raise DataError("the simulated world", found)

    @property
    def history_from(self) -> int:
        """Index of the first stage with a deal record: an amount, and a history of its changes."""
        return min(len(self.stages) // 2, len(self.stages) - 2)

    def scale(self, way: Literal["advance", "lost"]) -> np.ndarray:
        """Compute the Weibull scale of the days in each stage before this way out: median / ln(2)^(1/shape)."""
        medians = np.asarray(self.days_to_advance if way == "advance" else self.days_to_lose)
        return np.asarray(medians / np.log(2) ** (1 / self.shape))

    def draw_effects(self, rng: np.random.Generator) -> pd.DataFrame:
        """Draw every segment's effect on the logit of advancing: columns ``factor, segment, stage, effect``."""
        steps, parts = len(self.stages) - 1, []
        for name in FACTORS:
            labels = getattr(self, f"{name}s")
            common, own = normals(rng, (len(labels), 1)), normals(rng, (len(labels), steps))
            value = getattr(self, f"{name}_sd") * (np.sqrt(self.correlation) * common + np.sqrt(1 - self.correlation) * own)
            if name == "owner":
                value[0] += self.owner_gap
            index = pd.MultiIndex.from_product([[name], labels, self.stages[:-1]], names=["factor", "segment", "stage"])
            parts.append(pd.Series(value.ravel(), index=index, name="effect").reset_index())
        return pd.concat(parts, ignore_index=True)

    def effect(self, effects: pd.DataFrame, factor: str) -> np.ndarray:
        """Return one factor's effects as an array, shape (segments, steps)."""
        return effects.loc[effects["factor"] == factor, "effect"].to_numpy().reshape(-1, len(self.stages) - 1)

    def probability(self, effects: pd.DataFrame, codes: dict[str, np.ndarray]) -> np.ndarray:
        """Compute the eventual chance of advancing from each stage, shape (entities, steps)."""
        effect = sum(self.effect(effects, name)[code] for name, code in codes.items())
        return np.asarray(expit(logit(np.asarray(self.rates)) + effect))

    def draw_segments(self, rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
        """Draw each entity's owner, and channel and region by the owner's mix, as positions among the labels."""
        share = np.exp(0.4 * normals(rng, len(self.owners)))
        owner = np.minimum(np.searchsorted(np.cumsum(share) / share.sum(), rng.random(n)), len(self.owners) - 1)
        codes = {"owner": owner}
        for name in ("channel", "region"):
            labels = getattr(self, f"{name}s")
            weight = np.exp(0.3 * normals(rng, len(labels)) + self.mix * normals(rng, (len(self.owners), len(labels))))
            upper = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
            codes[name] = (rng.random(n)[:, None] > upper[owner, :-1]).sum(axis=1)
        return codes

    def draw_amounts(self, rng: np.random.Generator, codes: dict[str, np.ndarray]) -> tuple[pd.DataFrame, np.ndarray]:
        """Draw regional medians (columns ``region, median, log_sd, mean``) and an amount for each entity, to the cent."""
        median = self.amount * np.exp(self.amount_region_sd * normals(rng, len(self.regions)))
        value = median[codes["region"]] * np.exp(self.amount_sd * normals(rng, len(codes["region"])))
        table = pd.DataFrame({"region": self.regions, "median": median, "log_sd": self.amount_sd})
        return table.assign(mean=median * np.exp(self.amount_sd**2 / 2)), np.round(value, 2)


def normals(rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
    """Draw standard normal numbers from uniform ones, so that they do not depend on NumPy's sampler."""
    return np.asarray(ndtri(np.clip(rng.random(size), 1e-16, None)))


def _made_up(factor: str, count: int) -> tuple[str, ...]:
    """Make up labels; the consultants get names of nobody."""
    if factor != "owner":
        return tuple(f"{factor.capitalize()} {place:02d}" for place in range(1, count + 1))
    people = [f"{given} {family}" for given, family in zip(GIVEN, FAMILY, strict=True)]
    return tuple([*people, *(f"Consultant {place:03d}" for place in range(len(people) + 1, count + 1))][:count])
