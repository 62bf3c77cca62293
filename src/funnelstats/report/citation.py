"""How does an estimate become a card? Its words and draws from the estimate, the rest from what it was computed from.

The id is the SHA-256 of the full content of the data and of the specification (what was asked, by which definition, model, method
and seed, under which rule of interval), so that a number asked again of the same data has the same name, and of other data another.
"""

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from funnelstats.data.counts import CountsLog
from funnelstats.data.datasets import dataset_path
from funnelstats.data.events import EventLog
from funnelstats.data.fingerprint import content_digest, sha256_of
from funnelstats.data.stages import StageCounts, StageHazards
from funnelstats.data.transactions import Transactions
from funnelstats.estimate import SAMPLE_DIMS, Estimate, NotIdentified
from funnelstats.interval import DrawKind
from funnelstats.models.encode import digest_of
from funnelstats.models.model import Fit
from funnelstats.report.answers import plural
from funnelstats.report.cards import PROBS, Card, Value
from funnelstats.report.formulas import COUNTS, JEFFREYS, formula_of, priors_of

#: Methods that look at no prior.
WITHOUT_PRIOR = ("ols", "sur", "3sls", "bootstrap", "mle")
#: From good to bad.
_VERDICTS = ("PASS", "REVIEW", "FAIL")
#: Data that are found by a name, not by a path.
_BY_NAME = ("bundled:", "public:")
#: Parts of a recipe that say what was asked; the others say where the data lie and how they were read.
_ASKED = ("quantity", "settings", "start", "unit", "pseudonyms", "counts", "notebook", "result", "parameters")
_KINDS = {"equal-tailed": "credible interval, equal-tailed", "hdi": "credible interval, highest density"}


def card(
    estimate: Estimate | NotIdentified, *, name: str, population: str = "", period: str = "", source: Any = None,
    causal: bool | None = None, sensitivity: str = "", posterior_check: str = "", decision: str = "", remark: str = "",
    recipe: dict[str, Any] | None = None, **stated: Any,
) -> Card:  # fmt: skip
    """Make the card of an estimate.

    Parameters
    ----------
    estimate : Estimate or NotIdentified
        One number or several; what the data do not identify gets a card that says so.
    name : str
        What the result is called, such as ``"headline"``.
    population, period : str
        Of whom and when; taken from the source where not given.
    source : EventLog, CountsLog, Transactions, StageCounts, StageHazards, Fit, or a sequence of them
        What the number was computed from. Logs, order books and other data give the SHA-256 of the data, all of them together where there
        are several, a fit the model: ``(log, fit)`` names the data down to the single event. Without a source the draws themselves are
        what is named.
    causal : bool, optional
        Declare that a design makes it an effect. The fit's own declaration where not given.
    sensitivity, posterior_check, decision, remark : str
        What was found, in words, when priors were changed, when the model was checked against the data, and for which decision and
        threshold the number is meant.
    recipe : dict, optional
        ``quantity`` (of :func:`~funnelstats.report.quantities.quantity`) and its ``settings``, by which it can be computed again.
    **stated
        Other fields of :class:`~funnelstats.report.cards.Card`, said in place of what is found: ``model``, ``formula``, ``priors``,
        ``method``, ``seed``, ``definition``, ``verdict``, ``diagnosis``, ``n``, ``censored``, ``counted``, ``currency``.

    Returns
    -------
    Card

    Examples
    --------
    >>> from funnelstats.data.stages import StageCounts
    >>> from funnelstats.models.rates import overall_rate
    >>> counts = StageCounts.of({"Lead": 200, "Won": 12})
    >>> made = card(overall_rate(counts), name="overall_rate", source=counts, seed=0)
    >>> made.said, made.n, made.citable
    ('6.0% (90% Wilson interval 3.8% to 9.4%)', 200, True)
    """
    found = _Found()
    for one in source if isinstance(source, list | tuple) else () if source is None else (source,):
        found.look(one)
    told = found.told()
    parts = told | _numbers(estimate) | _rule(estimate, told) | {k: v for k, v in stated.items() if v is not None}
    words = {"population": population, "period": period, "sensitivity": sensitivity, "posterior_check": posterior_check,
             "decision": decision, "remark": remark}  # fmt: skip
    parts |= {key: text for key, text in words.items() if text}
    parts["causal"] = bool(found.causal if causal is None else causal)
    parts["currency"] = parts.get("currency", "") if parts.get("currency", "-") in parts.get("unit", "") else ""
    parts.setdefault("data_sha256", digest_of(estimate.draws.values) if isinstance(estimate, Estimate) else digest_of(None))
    parts["recipe"] = _recipe(found.logs[0] if found.logs else None, recipe)
    parts = {key: found.without_folder(value) for key, value in parts.items()}
    made = Card(id="", name=name, estimand=found.without_folder(estimate.description), version=version("funnelstats"), **parts)
    return replace(made, id=identify(made))


def identify(made: Card) -> str:
    """The id of a card: of the data and of what was asked of them, not of the answer and not of the version."""
    recipe = {key: value for key, value in made.recipe.items() if key in _ASKED}
    parts = (made.data_sha256, made.name, made.estimand, made.population, made.period, made.unit, made.definition, made.model,
             made.formula, made.specification, made.priors, made.method, made.seed, made.settings, made.interval_kind, made.mass,
             made.causal, recipe)  # fmt: skip
    return "fs-" + sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


# -- what the sources say ----------------------------------------------------------------------------------------
@dataclass
class _Found:
    """Fields of the card that sources tell; the first to tell one is believed, a fit before all others."""

    parts: dict[str, Any] = field(default_factory=dict)
    data: dict[str, list[str]] = field(default_factory=dict)
    logs: list[EventLog | CountsLog | Transactions] = field(default_factory=list)
    fits: list[Fit] = field(default_factory=list)

    @property
    def causal(self) -> bool:
        """Whether a model was declared so."""
        return any(getattr(fit.model, "causal", False) for fit in self.fits)

    def look(self, one: Any) -> None:
        if isinstance(one, EventLog | CountsLog):
            digest, files, counts, currency = _content(one)
            self._data(digest, counts.source, files)
            self.logs.append(one)
            self._tell(currency=currency)
            self._counts(counts)
        elif isinstance(one, Transactions):
            self._data(content_digest(one), one.source, _files(one))
            self.logs.append(one)
            self._tell(currency=one.currency)
        elif isinstance(one, Fit):
            self.fits.append(one)
            self._tell(data_sha256=one.record.data_digest, source=one.record.source, period=one.record.window)
            self._window(getattr(one.data, "window", None))
        elif isinstance(one, StageCounts | StageHazards):
            self._tell(data_sha256=one.digest)
            if isinstance(one, StageCounts):
                self._counts(one)
        else:
            words = {name: getattr(one, name, "") for name in ("digest", "source", "currency")}
            digest, source, currency = (
                text if isinstance(text, str) else "" for text in words.values()
            )  # a column may be called so
            self._data(digest or digest_of(one), source)
            self._tell(currency=currency)
            self._window(getattr(one, "window", None))

    def _data(self, digest: str, source: str, files: str | None = None) -> None:
        """Name data by their content, together with those that were named before."""
        for name, value in {"data_sha256": digest, "file_sha256": files, "source": source}.items():
            if value and value not in self.data.setdefault(name, []):
                self.data[name].append(value)

    def told(self) -> dict[str, Any]:
        """All fields; data that were given stand before what a fit or counts say of theirs, fits before counts in all else."""
        named = {name: ", ".join(values) if name == "source" or len(values) == 1 else sha256("\n".join(values).encode()).hexdigest()
                 for name, values in self.data.items() if values}  # fmt: skip
        return self.parts | (_fitted(self.fits) if self.fits else {}) | named

    def _tell(self, **parts: Any) -> None:
        for name, value in parts.items():
            if value not in ("", None, ()):
                self.parts.setdefault(name, value)

    def _counts(self, counts: StageCounts) -> None:
        total = counts.frame
        first = counts.stages[0]
        n, still = int(total.loc[total["stage"] == first, "entered"].sum()), int(total["open"].sum())
        self._tell(n=n, censored=still, counted=f"who entered {first}", population=f"all who entered {first}",
                   definition=str(counts.definition), source=counts.source)  # fmt: skip
        self._window(counts.window)

    def _window(self, window: Any) -> None:
        if window is not None:
            self._tell(period=str(window), as_of=str(window.as_of.date()))

    def without_folder(self, value: Any) -> Any:
        """Text without the folders of this machine: the name of a file is enough to know it by."""
        for path in (one.reading.source for one in self.logs if one.reading):
            if isinstance(value, str) and path and not path.startswith(_BY_NAME) and Path(path).name:
                value = value.replace(path, Path(path).name)
        return value


def _fitted(fits: list[Fit]) -> dict[str, Any]:
    """What fits say: of several all their models, and the worst diagnosis, which is that of the number."""
    records, worst = [fit.record for fit in fits], max(fits, key=lambda fit: _VERDICTS.index(fit.diagnosis.verdict))
    priors = [("none used",) if fit.record.method in WITHOUT_PRIOR else priors_of(fit.model) for fit in fits]
    sizes = [(f"{one.chains} x {one.draws:,} draws", *(f"{key} {value}" for key, value in one.settings)) for one in records]
    first, methods = records[0], [one.method for one in records]
    return {"model": "; ".join(one.model for one in records), "formula": "; ".join(formula_of(fit.model) for fit in fits),
            "specification": "; ".join(one.specification for one in records), "priors": _each_once(priors), "settings": _each_once(sizes),
            "method": "mcmc" if "mcmc" in methods else first.method, "seed": first.seed, "n": first.n, "censored": first.censored, "counted": first.counted,
            "verdict": worst.diagnosis.verdict, "diagnosis": str(worst.diagnosis)}  # fmt: skip


def _each_once(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(itertools.chain.from_iterable(groups)))


@lru_cache(maxsize=2)
def _content(log: EventLog | CountsLog) -> tuple[str, str | None, StageCounts, str]:
    """Digests, counts and currency of a log, once for all cards of a report; a log is a value, what lies below it must not change."""
    money = isinstance(log, EventLog) and {"amount", "currency"} <= set(log.events.columns)
    return content_digest(log), _files(log), log.stages(), log.currency if money and isinstance(log, EventLog) else ""


def _files(log: EventLog | CountsLog | Transactions) -> str | None:
    """SHA-256 of the files that were read; None for tables in memory, and for a public table, whose digest is known."""
    source = log.reading.source if log.reading else ""
    if not source or source.startswith("public:"):
        return None
    return sha256_of(
        dataset_path(source.removeprefix("bundled:")) if source.startswith("bundled:") else Path(source).expanduser()
    )


def _recipe(log: EventLog | CountsLog | Transactions | None, asked: dict[str, Any] | None) -> dict[str, Any]:
    """How to read the data again and what to ask of them; the folder of the file is left out."""
    if log is None or log.reading is None:
        return {}
    source = log.reading.source
    named = source if source.startswith(_BY_NAME) else Path(source).name
    return {"source": named, **log.reading.arguments(), **log.reading.afterwards(), **(asked or {})}


# -- what the estimate says --------------------------------------------------------------------------------------
def _numbers(estimate: Estimate | NotIdentified) -> dict[str, Any]:
    if isinstance(estimate, NotIdentified):
        return {"reason": estimate.reason}
    return {"unit": estimate.unit, "values": tuple(_values(estimate))}


def _values(estimate: Estimate) -> Iterable[Value]:
    dims = [dim for dim in estimate.draws.dims if dim not in SAMPLE_DIMS]
    cells = [dict(zip(dims, labels, strict=True)) for labels in _labels(estimate, dims)]
    for cell in cells:
        one = estimate.sel(**{str(dim): label for dim, label in cell.items()}) if cell else estimate
        quantiles = tuple(map(float, np.quantile(one.draws.values, PROBS)))
        yield Value(label=", ".join(map(str, cell.values())), said=plural(one), point=one.point, sd=one.sd, lower=one.lower,
                    upper=one.upper, quantiles=quantiles)  # fmt: skip


def _labels(estimate: Estimate, dims: list[Any]) -> Iterable[tuple[Any, ...]]:
    return itertools.product(*(estimate.draws[dim].values.tolist() for dim in dims))


def _rule(estimate: Estimate | NotIdentified, told: dict[str, Any]) -> dict[str, Any]:
    """The kinds of point and interval; for an observed share also the model behind its formula."""
    if isinstance(estimate, NotIdentified):
        return {}
    rule = estimate.shown
    named = _KINDS.get(rule.kind, str(rule).split(" ", 1)[1].replace("interval", "confidence interval"))
    if told.get("method") in WITHOUT_PRIOR:
        named = named.replace("credible", "confidence")
    parts: dict[str, Any] = {"interval_kind": named, "mass": rule.prob}
    parts["point_kind"] = "mean of the draws" if estimate.closed_form is None else "estimate by formula"
    if rule.kind not in DrawKind.__args__ and "model" not in told:  # type: ignore[attr-defined]
        draws = estimate.draws
        parts |= {"point_kind": "observed share", "model": "Binomial counts", "formula": COUNTS, "priors": (JEFFREYS,),
                  "method": "exact", "settings": (f"{draws.sizes['chain']} x {draws.sizes['draw']:,} draws",),
                  "verdict": "PASS", "diagnosis": "PASS (exact): independent draws from a formula"}  # fmt: skip
    return parts
