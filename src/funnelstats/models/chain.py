"""How does revenue come from marketing? Through leads and sales leads: ``R = e(c(aM + b) + d) + f``.

Each link is a straight line with normal noise: ``L = aM + b + u1``, ``S = cL + d + u2``, ``R = eS + f + u3``.  Any other chain
of named variables is written alike, with skip arrows (``M -> R``), variables that were never recorded, and lags.  What it
assumes: straight lines, no arrow but those drawn, noise that the links do not share.  Each can be tested, see
:mod:`funnelstats.models.chain_checks`.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np

from funnelstats.data.periods import Periods
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import NotIdentified
from funnelstats.inference.mcmc import Sampler
from funnelstats.inference.priors import Prior
from funnelstats.models.affine import Affine
from funnelstats.models.chain_bayes import Priors
from funnelstats.models.chain_estimate import Errors
from funnelstats.models.chain_fit import ChainFit
from funnelstats.models.chain_formula import formula
from funnelstats.models.chain_paths import Arrow, Paths
from funnelstats.models.chain_run import run
from funnelstats.models.chain_vet import LETTERS, Noise, require_data, shape_problems
from funnelstats.models.record import check_request

Method = Literal["ols", "sur", "3sls", "bootstrap", "quadrature", "mcmc", "prior"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A chain of linear links.

    Parameters
    ----------
    variables : tuple of str
        In causal order. The coefficients are named in that order: slope ``a`` and baseline ``b`` of the first link, ``c`` and
        ``d`` of the second, and so on; then the skip arrows.
    skips : tuple of (str, str)
        Arrows that leave out a variable.
    hidden : tuple of str
        Variables of the chain that were not recorded. The links around them are then known as one, see :meth:`identified`.
    lags : tuple of (str, int)
        Variable, and by how many periods it follows the one before it.
    noise : {"independent", "correlated"}
        Whether a common cause may move several links; ``"correlated"`` for ``method="mcmc"``.
    causal : bool
        Declare that the periods come from a design (a randomised budget) that makes slopes effects. Without it they are worded as
        associations.
    slope, baseline, spread : Prior
        On centred and scaled variables; for the Bayesian methods only.
    scales : tuple of (str, float, float)
        Variable, centre and spread that the priors refer to; taken from the data where not given.

    Examples
    --------
    >>> print(Chain())
    R = e(c(aM + b) + d) + f = ecaM + e(cb + d) + f
    >>> print(Chain.of("M -> L -> R", skip="M -> R"))
    L = aM + b; R = cL + eM + d; total effect of M on R: ca + e
    """

    variables: tuple[str, ...] = ("M", "L", "S", "R")
    skips: tuple[tuple[str, str], ...] = ()
    hidden: tuple[str, ...] = ()
    lags: tuple[tuple[str, int], ...] = ()
    noise: Noise = "independent"
    causal: bool = False
    slope: Prior = field(default_factory=lambda: Prior.of("normal", 0, 1))
    baseline: Prior = field(default_factory=lambda: Prior.of("normal", 0, 1))
    spread: Prior = field(default_factory=lambda: Prior.of("half_normal", 1))
    scales: tuple[tuple[str, float, float], ...] = ()

    def __post_init__(self) -> None:
        problems = shape_problems(self)
        if problems:
            raise DataError("a chain", problems)

    @classmethod
    def of(
        cls,
        arrows: str = "M -> L -> S -> R",
        *,
        skip: str | Sequence[str] = (),
        lag: Mapping[str, int] | None = None,
        **fields: Any,
    ) -> Self:
        """Build from arrows as text: ``Chain.of("spend -> visits -> orders", skip="spend -> orders", lag={"orders": 1})``."""
        skips = tuple(_split(text) for text in ([skip] if isinstance(skip, str) else skip))
        return cls(variables=_split(arrows), skips=skips, lags=tuple((lag or {}).items()), **fields)  # type: ignore[arg-type]

    # -- structure -----------------------------------------------------------------------------------------------
    def letters(self) -> dict[str, str]:
        """Meaning of each coefficient: ``{"a": "M -> L", "b": "baseline of L", ...}``."""
        named: dict[str, str] = {}
        for at, (source, target) in enumerate(zip(self.variables, self.variables[1:], strict=False)):
            named |= {LETTERS[2 * at]: f"{source} -> {target}", LETTERS[2 * at + 1]: f"baseline of {target}"}
        first = 2 * (len(self.variables) - 1)
        return named | {LETTERS[first + at]: f"{source} -> {target}" for at, (source, target) in enumerate(self.skips)}

    def paths(self) -> Paths:
        """Arrows between the variables that were recorded."""
        observed = tuple(name for name in self.variables if name not in self.hidden)
        letter = {meaning: name for name, meaning in self.letters().items()}
        arrows, baselines, written = [], [], []
        for source, target in itertools.pairwise(observed):
            run = self.variables[self.variables.index(source) : self.variables.index(target) + 1]
            slopes, base = "", ""
            for before, after in itertools.pairwise(run):
                slope, own = letter[f"{before} -> {after}"], letter[f"baseline of {after}"]
                base = f"{slope}({base}) + {own}" if " " in base else f"{slope}{base} + {own}" if base else own
                slopes = slope + slopes
            name = base if len(run) == 2 else f"intercept_{target}"
            arrows.append(Arrow(source=source, target=target, name=slopes, through=run[1:-1]))
            baselines.append((target, name))
            written.append((name, base))
        arrows += [Arrow(source=source, target=target, name=letter[f"{source} -> {target}"]) for source, target in self.skips]
        return Paths(variables=observed, arrows=tuple(arrows), baselines=tuple(baselines), written=tuple(written))

    def delays(self) -> dict[str, int]:
        """Periods by which each recorded variable follows the first."""
        lag, late, found = dict(self.lags), 0, {}
        for name in self.variables:
            late += lag.get(name, 0)
            found[name] = late
        return {name: late for name, late in found.items() if name not in self.hidden}

    def identified(self) -> dict[str, NotIdentified | str]:
        """What the recorded variables can tell of each coefficient, whatever the number of periods.

        Returns
        -------
        dict
            Coefficient to ``"identified"`` or to :class:`~funnelstats.estimate.NotIdentified` with the reason; then the products
            and sums that are identified in their stead.
        """
        paths = self.paths()
        found: dict[str, NotIdentified | str] = {}
        for name, meaning in self.letters().items():
            around = next((arrow for arrow in paths.arrows if arrow.through and _inside(self, arrow, meaning)), None)
            if around is None:
                found[name] = "identified"
                continue
            base = dict(paths.written)[dict(paths.baselines)[around.target]]
            lost = " and ".join(around.through)
            reason = (
                f"{lost} not recorded: measured as k {around.through[0]} + m, with any k and m, it would give the same data, so only "
                f"{around.name} and {base} are known"
            )
            found[name] = NotIdentified(f"{name} ({meaning})", reason)
        for arrow in paths.arrows:
            if arrow.through:
                found |= {arrow.name: "identified", dict(paths.written)[dict(paths.baselines)[arrow.target]]: "identified"}
        return found

    def at(self, **values: float) -> Affine:
        """Compose the whole chain from the numbers of its coefficients (not for skip arrows).

        Examples
        --------
        >>> Chain().at(a=100, b=0, c=0.5, d=0, e=0.8, f=0)(10)
        400.0
        """
        if self.skips:
            raise DataError("the composition", [Problem("skips", "expected a chain without skip arrows", "use paths().means")])
        missing = [name for name in self.letters() if name not in values]
        if missing or len(values) > len(self.letters()):
            raise DataError("the composition", [Problem("values", f"expected {list(self.letters())}, found {list(values)}")])
        whole = Affine(1, 0)
        for slope, baseline in zip(LETTERS[0 : len(values) : 2], LETTERS[1 : len(values) : 2], strict=True):
            whole = Affine(values[slope], values[baseline]) @ whole
        return whole

    # -- fitting -------------------------------------------------------------------------------------------------
    @property
    def priors(self) -> Priors:
        """Priors of the Bayesian methods."""
        return Priors(slope=self.slope, baseline=self.baseline, spread=self.spread)

    def scales_of(self, periods: Periods) -> dict[str, tuple[float, float]]:
        """Centre and spread of each recorded variable that the priors refer to."""
        given = {name: (centre, spread) for name, centre, spread in self.scales}
        found = {}
        for name in self.delays():
            column = periods.frame[name].to_numpy()
            found[name] = given.get(name, (float(np.mean(column)), float(np.std(column)) or 1.0))
        return found

    def fit(
        self,
        data: Periods,
        *,
        seed: int,
        method: Method = "ols",
        draws: int = 1000,
        chains: int = 4,
        errors: Errors | None = None,
        block: int | None = None,
        tune: int = 1000,
        cores: int = 1,
        sampler: Sampler = "nutpie",
        target_accept: float = 0.9,
        progress: bool = False,
    ) -> ChainFit:
        """Condition on periods.

        Parameters
        ----------
        data : Periods
            With a column for every variable that is not hidden.
        seed, draws, chains
            See :class:`~funnelstats.models.model.Model`.
        method : str
            ``"ols"``: least squares of each link. ``"sur"``, ``"3sls"``: the links together. ``"bootstrap"``: least squares on
            resampled blocks of periods. ``"quadrature"``: exact posterior. ``"mcmc"``: posterior by NUTS. ``"prior"``: no outcome
            looked at (give ``scales``, or it borrows the data's centres and spreads).
        errors : {"hac", "hc3", "classical"}, optional
            For ``"ols"``. ``"hac"`` for periods in order and ``"classical"`` for rows without order where not given.
        block : int, optional
            For ``"bootstrap"``: length of a block.
        tune, cores, sampler, target_accept, progress
            For ``"mcmc"``: of :func:`~funnelstats.inference.mcmc.sample`.

        Raises
        ------
        FitError
            The coefficients cannot be had from these periods; every reason is listed.
        DataError
            A variable is missing from the data, or the method does not fit the model.
        """
        check_request("Chain.fit", method=method, methods=Method, seed=seed, draws=draws, chains=chains)
        require_data(self, data, method, errors)
        settings = {
            "errors": errors,
            "block": block,
            "tune": tune,
            "cores": cores,
            "sampler": sampler,
            "target_accept": target_accept,
            "progress": progress,
        }
        return run(self, data, method=method, seed=seed, draws=draws, chains=chains, options=settings)

    def __str__(self) -> str:
        return formula(self.paths())


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in re.split(r"->|→", text))


def _inside(chain: Chain, arrow: Arrow, meaning: str) -> bool:
    """Whether a link lies between the ends of a composite arrow."""
    names = chain.variables[chain.variables.index(arrow.source) : chain.variables.index(arrow.target) + 1]
    links = {f"{before} -> {after}" for before, after in itertools.pairwise(names)}
    return meaning in links | {f"baseline of {name}" for name in names[1:]}
