"""What must stand beside a number before anybody may cite it? One card: the estimand, the data, the model, the checks, and a name.

A card is a value of plain parts: it can be written to JSON and read back, and two runs on the same data write the same one. Its
items are those of the Bayesian Analysis Reporting Guidelines (Kruschke 2021, Nature Human Behaviour 5:1282-1291); what nobody
stated is listed as not stated.
"""

from dataclasses import asdict, dataclass, field, fields
from html import escape
from typing import Any, Self

from funnelstats.errors import DataError, Problem
from funnelstats.report import reference

#: Marks a card inside a JSON file.
SCHEMA = "funnelstats-card-1"
#: The quantiles that a card keeps of the draws, closer together in the tails.
PROBS = (0, 0.005, 0.01, 0.025, *(round(0.05 * step, 2) for step in range(1, 20)), 0.975, 0.99, 0.995, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One number of a card.

    Attributes
    ----------
    label : str
        Which of several; empty where there is one.
    said : str
        As it is printed, with interval and unit.
    point, sd, lower, upper : float
    quantiles : tuple of float
        Of the draws, at the card's ``probs``: what a later comparison works with.
    """

    label: str = ""
    said: str
    point: float
    sd: float
    lower: float
    upper: float
    quantiles: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A number with everything that is needed to cite it, or the reason why there is none.

    Attributes
    ----------
    id : str
        ``fs-`` and twelve hexadecimal digits of the SHA-256 of data and specification: same data, same question, same method, same
        id, whatever the version of the package.
    name, estimand, population, period : str
        Name of the result, what it is in words, of whom, watched when.
    unit, currency : str
    values : tuple of Value
        One, or one for each label; none where the data do not identify it.
    probs : tuple of float
        Probabilities at which every value has its quantiles.
    reason : str
        Why there is no number.
    point_kind, interval_kind : str
        What the point is (a mean of draws, an observed share) and which kind of interval.
    mass : float
        Of the interval.
    n, censored : int or None
        Observations, and those of them still undecided on the day of the cut.
    counted : str
        What ``n`` counts.
    as_of : str
        Day of the cut.
    definition : str
        What counted as entering a stage.
    model, formula, specification : str
    priors : tuple of str
    method, seed, settings
        How the draws came about.
    verdict, diagnosis : str
        PASS, REVIEW, FAIL or "" where nobody judged, and the numbers behind it.
    causal : bool
        Whether a design makes it an effect.
    sensitivity, posterior_check, decision, remark : str
        In words, where stated.
    source, data_sha256, file_sha256 : str
        Name of the data and digests of their full content and of the files.
    version : str
        Of the package.
    recipe : dict
        How to compute it again from the data; empty where there is no recipe.

    Examples
    --------
    >>> from funnelstats.estimate import Estimate
    >>> from funnelstats.report.citation import card
    >>> rate = card(Estimate.of([0.02, 0.03, 0.04], description="share of leads won"), name="won")
    >>> rate.citable, Card.from_dict(rate.to_dict()) == rate
    (True, True)
    """

    id: str
    name: str
    estimand: str
    population: str = ""
    period: str = ""
    unit: str = ""
    currency: str = ""
    values: tuple[Value, ...] = ()
    probs: tuple[float, ...] = PROBS
    reason: str = ""
    point_kind: str = ""
    interval_kind: str = ""
    mass: float | None = None
    n: int | None = None
    censored: int | None = None
    counted: str = ""
    as_of: str = ""
    definition: str = ""
    model: str = ""
    formula: str = ""
    specification: str = ""
    priors: tuple[str, ...] = ()
    method: str = ""
    seed: int | None = None
    settings: tuple[str, ...] = ()
    verdict: str = ""
    diagnosis: str = ""
    causal: bool = False
    sensitivity: str = ""
    posterior_check: str = ""
    decision: str = ""
    remark: str = ""
    source: str = ""
    data_sha256: str = ""
    file_sha256: str = ""
    version: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)

    @property
    def citable(self) -> bool:
        """Whether it may be cited: not when a diagnosis failed."""
        return self.verdict != "FAIL"

    @property
    def point(self) -> float | None:
        """The number, where the card has exactly one."""
        return self.values[0].point if len(self.values) == 1 else None

    @property
    def said(self) -> str:
        """The number as it is printed, or the reason why there is none."""
        if self.reason:
            return f"not identified: {self.reason}"
        return "; ".join(f"{one.label}: {one.said}" if one.label else one.said for one in self.values)

    @property
    def again(self) -> str:
        """How it is computed again, in words; empty where there is no recipe."""
        recipe = self.recipe
        if recipe.get("quantity"):
            by, given = f"by the quantity {recipe['quantity']}", {"seed": recipe.get("seed")} | recipe.get("settings", {})
        elif recipe.get("notebook"):
            by, given = f"by the notebook {recipe['notebook']}", recipe.get("reads", {}) | recipe.get("parameters", {})
        else:
            return ""
        return f"{by} with " + ", ".join(f"{name} = {value!r}" for name, value in given.items())

    def checklist(self) -> dict[str, str]:
        """Items of the reporting guidelines with what the card says of each; ``""`` where nothing was stated.

        Returns
        -------
        dict of str to str
            Keys carry the number of the step: 1 model, 2 computation, 3 posterior, 4 decision, 5 sensitivity, 6 reproducibility.
        """
        n = "" if self.n is None else f"{self.n:,} {self.counted}".strip()
        draws = ", ".join([self.method, *([] if self.seed is None else [f"seed {self.seed}"]), *self.settings]).strip(", ")
        return {
            "0 goal": self.estimand, "1 data": ", ".join(filter(None, (n, self.period))),
            "1 likelihood and parameters": ": ".join(filter(None, (self.model, self.formula))), "1 priors": "; ".join(self.priors),
            "2 software": f"funnelstats {self.version}", "2 computation": draws, "2 convergence": self.diagnosis,
            "3 posterior predictive check": self.posterior_check,
            "3 posterior": " ".join(filter(None, (self.point_kind and f"{self.point_kind},", self.interval_kind))) or self.said,
            "4 decision": self.decision, "5 sensitivity": self.sensitivity,
            "6 reproducible": f"data SHA-256 {self.data_sha256}, {self.again or 'no recipe'}",
        }  # fmt: skip

    @property
    def not_stated(self) -> tuple[str, ...]:
        """Items of :meth:`checklist` of which nothing is said."""
        return tuple(item[2:] for item, text in self.checklist().items() if not text)

    # -- for others ------------------------------------------------------------------------------------------------
    def text(self) -> str:
        """The card as a paragraph to read and to paste."""
        return reference.text(self)

    def bibtex(self, *, author: str = "") -> str:
        """A BibTeX entry; DataError where the card may not be cited."""
        return reference.bibtex(self, author)

    def csl(self, *, author: str = "") -> dict[str, Any]:
        """An item of CSL JSON, as reference managers read it; DataError where the card may not be cited."""
        return reference.csl(self, author)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"schema": SCHEMA} | {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Self:
        """Read what :meth:`to_dict` wrote; unknown keys of a later version are passed over."""
        if document.get("schema") != SCHEMA:
            raise DataError("a card", [Problem("schema", f"expected {SCHEMA!r}, found {document.get('schema')!r}")])
        known = {one.name for one in fields(cls)} & set(document)
        parts: dict[str, Any] = {
            name: tuple(document[name]) if isinstance(document[name], list) else document[name] for name in known
        }
        numbers = tuple(Value(**{**one, "quantiles": tuple(one.get("quantiles", ()))}) for one in document.get("values", ()))
        return cls(**(parts | {"values": numbers}))

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Card {self.id}: {self.estimand}: {self.said}>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in reference.lines(self) if v)
        stop = "" if self.citable else "<p><b>May not be cited: the diagnosis failed.</b></p>"
        return f"<p><b>{escape(self.estimand)}</b>: {escape(self.said)}</p>{stop}<table>{rows}</table>"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
