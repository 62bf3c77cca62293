"""What a simulated sales team is like: its stages, its people, and how much each of them matters."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from funnelstats.errors import DataError, Problem

_GIVEN = ("Ada", "Bruno", "Clara", "Dario", "Elena", "Felix", "Greta", "Hugo", "Irene", "Jonas", "Kira", "Leo",
          "Mira", "Nils", "Olga", "Pavel", "Quinn", "Rosa", "Stefan", "Tilda")  # fmt: skip
_FAMILY = ("Birch", "Cedar", "Dale", "Elm", "Fern", "Grove", "Heath", "Ivy", "Juniper", "Knoll", "Lake", "Marsh",
           "North", "Oak", "Pine", "Reed", "Stone", "Thorn", "Vale", "Wood")  # fmt: skip
FACTORS = ("owner", "channel", "region")
#: Defaults of the five canonical stages; other numbers of stages interpolate between them.
_RATES, _ADVANCE, _LOST = (0.60, 0.45, 0.55, 0.35), (6.0, 14.0, 20.0, 35.0), (25.0, 35.0, 40.0, 55.0)


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
    owners, channels, regions : tuple of str or int
        Labels, or how many to make up. Owners are the consultants.
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

    stages: tuple[str, ...] = ("Lead", "Marketing", "Sales Lead", "Opportunity", "Won")
    lost: str = "Lost"
    rates: tuple[float, ...] = ()
    owners: tuple[str, ...] | int = 12
    channels: tuple[str, ...] | int = ("Web", "Trade Show", "Partner Referral", "Phone Inquiry", "Purchased List")
    regions: tuple[str, ...] | int = ("North", "East", "South", "West")
    owner_sd: float = 0.35
    channel_sd: float = 0.30
    region_sd: float = 0.20
    owner_gap: float = 0.0
    correlation: float = 0.5
    mix: float = 0.6
    days_to_advance: tuple[float, ...] = ()
    days_to_lose: tuple[float, ...] = ()
    shape: float = 1.3
    season: float = 0.3
    amount: float = 60_000.0
    amount_sd: float = 0.7
    amount_region_sd: float = 0.2
    currency: str = "CNY"

    def __post_init__(self) -> None:
        steps = len(self.stages) - 1
        fill = {"rates": _RATES, "days_to_advance": _ADVANCE, "days_to_lose": _LOST}
        for name, default in fill.items():
            given = tuple(getattr(self, name))
            object.__setattr__(self, name, given or tuple(np.interp(np.linspace(0, 3, max(steps, 1)), range(4), default)))
        for name in FACTORS:
            object.__setattr__(self, f"{name}s", _labels(name, getattr(self, f"{name}s")))
        object.__setattr__(self, "stages", tuple(self.stages))
        problems = list(self._problems(steps))
        if problems:
            raise DataError("the simulated world", problems)

    def _problems(self, steps: int) -> list[Problem]:
        found = [] if steps >= 1 else [Problem("stages", f"expected two or more, found {list(self.stages)}")]
        names = [*self.stages, self.lost]
        found += [Problem("stages", f"expected each name once, found {name!r} again") for name in set(names) if names.count(name) > 1]
        for name in ("rates", "days_to_advance", "days_to_lose"):
            value = getattr(self, name)
            if len(value) != steps:
                found.append(Problem(name, f"expected {steps} values, one per step, found {len(value)}"))
            if not all(0 < one < (1 if name == "rates" else np.inf) for one in value):
                found.append(Problem(name, f"expected {'chances between 0 and 1' if name == 'rates' else 'positive days'}, found {value}"))
        for name in ("owner_sd", "channel_sd", "region_sd", "mix", "amount_sd", "amount_region_sd"):
            if not getattr(self, name) >= 0:
                found.append(Problem(name, f"expected zero or more, found {getattr(self, name)}"))
        for name in ("correlation", "season"):
            if not 0 <= getattr(self, name) <= 1:
                found.append(Problem(name, f"expected between 0 and 1, found {getattr(self, name)}"))
        for name in ("shape", "amount"):
            if not getattr(self, name) > 0:
                found.append(Problem(name, f"expected a positive number, found {getattr(self, name)}"))
        found += [Problem(f"{name}s", "expected at least one") for name in FACTORS if not getattr(self, f"{name}s")]
        return found

    @property
    def history_from(self) -> int:
        """Index of the first stage with a deal record: an amount, and a history of its changes."""
        return min(len(self.stages) // 2, len(self.stages) - 2)

    def scale(self, exit: Literal["advance", "lost"]) -> np.ndarray:
        """Weibull scale of the days in each stage before this way out: median / ln(2)^(1/shape)."""
        medians = np.asarray(self.days_to_advance if exit == "advance" else self.days_to_lose)
        return medians / np.log(2) ** (1 / self.shape)

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
        """Effects of one factor as an array, shape (segments, steps)."""
        return effects.loc[effects["factor"] == factor, "effect"].to_numpy().reshape(-1, len(self.stages) - 1)

    def probability(self, effects: pd.DataFrame, codes: dict[str, np.ndarray]) -> np.ndarray:
        """Eventual chance of advancing from each stage, shape (entities, steps)."""
        return expit(logit(np.asarray(self.rates)) + sum(self.effect(effects, name)[code] for name, code in codes.items()))

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
        mean = median * np.exp(self.amount_sd**2 / 2)
        return pd.DataFrame({"region": self.regions, "median": median, "log_sd": self.amount_sd, "mean": mean}), np.round(value, 2)


def normals(rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
    """Draw standard normal numbers from uniform ones, so that they do not depend on NumPy's sampler."""
    return ndtri(np.clip(rng.random(size), 1e-16, None))


def _labels(name: str, value: tuple[str, ...] | int) -> tuple[str, ...]:
    if not isinstance(value, int):
        return tuple(value)
    if name != "owner":
        return tuple(f"{name.capitalize()} {place:02d}" for place in range(1, value + 1))
    return tuple(f"{_GIVEN[place]} {_FAMILY[place]}" if place < len(_GIVEN) else f"Consultant {place + 1:03d}" for place in range(value))
