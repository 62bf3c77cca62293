"""Which offer should whom be shown, what does it bring, and how sure is the order?

Value of showing an offer to a segment = probability that it is taken x amount when it is.  The first is partially pooled over the segments of
each offer (:class:`~funnelstats.models.exchangeable.BetaBinomial`); the second is a mean pulled towards the offer's own, by as much as segments
differ beyond chance (DerSimonian & Laird 1986, Controlled Clinical Trials 7:177-188).  Ranks are taken draw by draw, so the table says how sure
the first place and the whole order are.  Whom to show what next is Thompson's question (Thompson 1933, Biometrika 25:285-294): draw once from the posterior
and show the best of that draw; an offer is then shown as often as it may be the best.

An order of offers says what offers do only if who got which was left to chance within the segment.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.data.cases import Cases
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, Estimate
from funnelstats.interval import DEFAULT
from funnelstats.models.exchangeable import BetaBinomial
from funnelstats.models.trials import Trials

#: A first place is clear with at least this probability.
CLEAR = 0.95
#: Column of the one segment of all cases.
_WHOLE = "(all cases)"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class OfferRanking:
    """Offers ranked within each segment.

    Attributes
    ----------
    values, rates : Estimate, dims (chain, draw, segment, offer)
        Joint draws of the value of showing an offer, and of the probability that it is taken.
    amounts : Estimate
        Amount when taken, same dims.
    shown, taken : ndarray of int, shape (segment, offer)
    """

    values: Estimate
    rates: Estimate
    amounts: Estimate
    shown: np.ndarray
    taken: np.ndarray

    @property
    def segments(self) -> list[str]:
        """Labels of the segments."""
        return [str(name) for name in self.values.draws["segment"].values]

    @property
    def offers(self) -> list[str]:
        """Labels of the offers."""
        return [str(name) for name in self.values.draws["offer"].values]

    def best(self) -> pd.DataFrame:
        """Probability that each offer is the best of its segment: segment by offer, rows add up to one."""
        first = self._flat().argmax(axis=-1)
        share = np.stack([(first == at).mean(axis=0) for at in range(len(self.offers))], axis=-1)
        return pd.DataFrame(share, index=pd.Index(self.segments, name="segment"), columns=pd.Index(self.offers, name="offer"))

    def order(self) -> pd.DataFrame:
        """For each segment the offers by posterior mean, and the probability that this whole order is right.

        Returns
        -------
        DataFrame
            Index ``segment``; columns ``order`` (best first), ``p_order``, ``first``, ``p_first``, ``lead`` (value of the first over the second, with
            ``lower`` and ``upper``), ``loss`` (what choosing the first is expected to cost against knowing the best), ``verdict``, ``interval``, ``unit``.
        """
        draws, best = self._flat(), self.best()
        rows = []
        for at, segment in enumerate(self.segments):
            own = draws[:, at]
            ranked = np.argsort(-own.mean(axis=0), kind="stable")
            right = (np.diff(own[:, ranked], axis=1) <= 0).all(axis=1).mean()
            lead = own[:, ranked[0]] - own[:, ranked[1]]
            low, high = self.values.interval.of(lead)
            p_first = float(best.iloc[at, ranked[0]])
            rows.append({"segment": segment, "order": " > ".join(self.offers[i] for i in ranked), "p_order": float(right),
                         "first": self.offers[ranked[0]], "p_first": p_first, "lead": float(lead.mean()), "lower": float(low), "upper": float(high),
                         "loss": float((own.max(axis=1) - own[:, ranked[0]]).mean()),
                         "verdict": "clear" if p_first >= CLEAR else "not clear: go on exploring"})  # fmt: skip
        return pd.DataFrame(rows).set_index("segment").assign(interval=str(self.values.interval), unit=self.values.unit)

    def table(self) -> pd.DataFrame:
        """One row per segment and offer: shown, taken, rate, amount and value with their bounds, probability of being the best, expected loss.

        The loss is what choosing the offer is expected to cost against knowing the best of the segment.
        """
        frame = self.values.to_frame().rename(columns={"mean": "value"}).drop(columns=["sd"])
        parts = {"shown": self.shown.ravel(), "taken": self.taken.ravel(), "rate": np.asarray(self.rates.point).ravel(),
                 "amount": np.asarray(self.amounts.point).ravel(), "p_best": self.best().to_numpy().ravel(),
                 "expected_loss": (self._flat().max(axis=-1, keepdims=True) - self._flat()).mean(axis=0).ravel()}  # fmt: skip
        return frame.assign(**parts)[
            ["shown", "taken", "rate", "amount", "value", "lower", "upper", "p_best", "expected_loss", "interval", "unit"]
        ]

    def next_offer(self, segment: str, *, seed: int, size: int | None = None) -> str | list[str]:
        """Say which offer to show next, by Thompson sampling.

        Parameters
        ----------
        segment : str
        seed : int
            The same seed gives the same offer; use the number of the visit.
        size : int, optional
            How many visits are to be served before anything more is learned; a list is returned then.
        """
        if segment not in self.segments:
            raise DataError("the offers", [Problem("segment", f"expected one of {self.segments}, found {segment!r}")])
        draws = self._flat()[:, self.segments.index(segment)]
        at = np.random.default_rng([seed, 19]).integers(len(draws), size=1 if size is None else size)
        chosen = [self.offers[place] for place in draws[at].argmax(axis=1)]
        return chosen[0] if size is None else chosen

    def policy_value(self) -> Estimate:
        """Mean value per case when every segment is shown its first by posterior mean, minus that of the offers shown so far; cases as observed.

        The first of a segment is chosen on the same data, so this is what is expected of the choice, not of the best there is.
        """
        share = self.shown.sum(axis=1) / self.shown.sum()
        first = np.argmax(self._flat().mean(axis=0), axis=-1)
        new = np.take_along_axis(self.values.draws.values, first[None, None, :, None], axis=-1)[..., 0]
        old = (self.values.draws.values * (self.shown / np.maximum(self.shown.sum(axis=1, keepdims=True), 1))).sum(axis=-1)
        gain = xr.DataArray((new - old) @ share, dims=SAMPLE_DIMS)
        return Estimate(
            draws=gain,
            unit=self.values.unit,
            description="value per case gained by each segment's first offer over the offers as shown",
        )

    def _flat(self) -> np.ndarray:
        """Draws of the values, shape (n_draws, segment, offer)."""
        values = self.values.draws.values
        return values.reshape(-1, *values.shape[2:])


def rank_offers(
    cases: Cases, *, seed: int, segment: str | None = "", offer: str = "", amount: str = "", draws: int = 1000, chains: int = 4,
    model: BetaBinomial | None = None,
) -> OfferRanking:  # fmt: skip
    """Rank offers within segments.

    Parameters
    ----------
    cases : Cases
        Who was shown which offer, and whether it was taken.
    seed, draws, chains
        Of the draws.
    segment, offer, amount : str
        Columns; those of the cases' roles where empty. Without an amount, a taken offer is worth one. With ``segment=None`` all cases are
        one segment, ``"all"``: which offer, if everybody is shown the same?
    model : BetaBinomial, optional
        Of the rate of an offer over segments; its defaults otherwise.

    Raises
    ------
    DataError
        No column of offers, one offer only, an offer that nobody took: all at once.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"kind": rng.choice(["old", "new"], 4000), "shown": rng.choice(["A", "B"], 4000)})
    >>> frame["yes"] = rng.random(4000) < np.where(frame["shown"] == "A", 0.2, 0.1)
    >>> cases = Cases.of(frame, outcome="yes", features=["kind"], segment="kind", offer="shown")
    >>> rank_offers(cases, seed=1).order()["first"].tolist()
    ['A', 'A']
    """
    frame, names = _columns(cases, segment, offer, amount)
    groups = frame.groupby(["segment", "offer"], observed=True)
    table = groups["yes"].agg(["size", "sum"]).unstack(fill_value=0)
    shown, taken = pd.DataFrame(table["size"]), pd.DataFrame(table["sum"])
    problems = [Problem(str(name), f"nobody took it ({shown[name].sum():,} were shown it)", "leave it out, or show it more often")
                for name in taken if names["amount"] and taken[name].sum() == 0]  # fmt: skip
    if taken.shape[1] < 2:
        problems.append(Problem(names["offer"], f"expected two offers or more, found {list(taken)}"))
    if problems:
        raise DataError(cases.source, problems)
    labels = {"segment": [str(name) for name in taken.index], "offer": [str(name) for name in taken.columns]}
    rates = []
    for at, name in enumerate(taken):
        trials = Trials.of(
            taken[name].to_numpy(), shown[name].to_numpy(), labels=labels["segment"], source=f"{cases.source}, {name}"
        )
        rates.append((model or BetaBinomial()).fit(trials, seed=seed + at, draws=draws, chains=chains).rates().draws.values)
    rate = _labelled(np.stack(rates, axis=-1), labels, "probability that the offer is taken")
    worth = _labelled(_amounts(frame, taken, np.random.default_rng([seed, 7]), (chains, draws)) if names["amount"]
                      else np.ones_like(rate.draws.values), labels, "amount when the offer is taken")  # fmt: skip
    worth = replace(worth, unit=cases.currency if names["amount"] else "")
    values = replace(rate * worth, description="value of showing the offer once")
    return OfferRanking(values=values, rates=rate, amounts=worth, shown=shown.to_numpy(), taken=taken.to_numpy())


def _columns(cases: Cases, segment: str | None, offer: str, amount: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Segment, offer, yes and amount under one name each."""
    if segment is None:
        cases, segment = replace(cases, frame=cases.frame.assign(**{_WHOLE: "all"})), _WHOLE
    names = {
        "segment": segment or cases.roles.segment,
        "offer": offer or cases.roles.offer,
        "amount": amount or cases.roles.amount,
    }
    problems = [
        Problem(part, "which column is it? The cases do not say", f'add {part}="..."')
        for part in ("segment", "offer")
        if not names[part]
    ]
    problems += [Problem(name, "column expected, not found") for name in names.values() if name and name not in cases.frame]
    if problems:
        raise DataError(cases.source, problems)
    frame = pd.DataFrame({part: cases.frame[names[part]].astype(str) for part in ("segment", "offer")}).assign(yes=cases.outcome)
    return (frame.assign(amount=pd.to_numeric(cases.frame[names["amount"]])) if names["amount"] else frame), names


def _amounts(frame: pd.DataFrame, taken: pd.DataFrame, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draws of the mean amount of each cell, shape (*size, segment, offer): normal, pulled towards the offer's mean."""
    yes = frame[(frame["yes"] == 1) & frame["amount"].notna()]
    cells = yes.groupby(["segment", "offer"], observed=True)["amount"]
    count, mean = (
        part.unstack().reindex(index=taken.index, columns=taken.columns).to_numpy(dtype=float)
        for part in (cells.size(), cells.mean())
    )
    within = float((yes["amount"] - cells.transform("mean")).pow(2).sum() / max(len(yes) - cells.ngroups, 1))
    count = np.nan_to_num(count)
    out = np.empty((*size, *taken.shape))
    for at in range(taken.shape[1]):
        n, own = count[:, at], np.where(count[:, at] > 0, mean[:, at], 0.0)
        error = within / np.maximum(n, 1e-300)
        weight = np.where(n > 0, 1 / np.maximum(error, 1e-12), 0.0)
        apart = float(weight @ (own - weight @ own / weight.sum()) ** 2) - (np.count_nonzero(n) - 1)
        spread = max(apart, 0.0) / max(weight.sum() - weight @ weight / weight.sum(), 1e-300) if np.count_nonzero(n) > 1 else 0.0
        total = np.where(n > 0, 1 / (spread + error), 0.0)
        centre = rng.normal(total @ own / total.sum(), total.sum() ** -0.5, size=size)[..., None]
        pull = np.where(n > 0, spread / (spread + error), 0.0)
        out[..., at] = pull * own + (1 - pull) * centre + np.sqrt(spread * (1 - pull)) * rng.standard_normal((*size, len(n)))
    return out


def _labelled(values: np.ndarray, labels: dict[str, list[str]], description: str) -> Estimate:
    draws = xr.DataArray(values, dims=(*SAMPLE_DIMS, "segment", "offer"), coords=labels)
    return Estimate(draws=draws, description=description, interval=DEFAULT)
