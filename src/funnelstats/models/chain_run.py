"""Which road leads from a chain and its periods to draws? Least squares, a system, the bootstrap, a grid or NUTS."""

from typing import Any

import numpy as np
import xarray as xr

from funnelstats.data.periods import Periods
from funnelstats.inference.diagnose import Check, Diagnosis, diagnose_chains
from funnelstats.inference.tree import tree_of
from funnelstats.models.chain_bayes import by_mcmc, prior_draws, quadrature
from funnelstats.models.chain_equations import Equation, equations
from funnelstats.models.chain_estimate import Joint, as_system, block_length, bootstrap, least_squares
from funnelstats.models.chain_fit import ChainFit
from funnelstats.models.record import Record

#: With fewer, an interval from a formula leans on normal noise.
FREEDOM_MIN = 10
#: An instrument is weak below this F (Staiger & Stock 1997, Econometrica 65:557-586).
F_MIN = 10
#: What a diagnosis names; other settings are recorded as they are.
SAMPLER = ("sampler", "tune", "target_accept")


def run(model: Any, data: Periods, *, method: str, seed: int, draws: int, chains: int, options: dict[str, Any]) -> ChainFit:
    """Fit a chain; see :meth:`funnelstats.models.chain.Chain.fit`."""
    paths = model.paths()
    links = equations(paths, data.aligned(model.delays()), subject=f"{' -> '.join(paths.variables)} in {data.source}")
    settings: tuple[tuple[str, Any], ...] = ()
    groups: dict[str, xr.Dataset] = {}
    rng, size = np.random.default_rng([seed, 1]), draws * chains
    correlation: np.ndarray | None = None
    if method in ("ols", "sur", "3sls", "bootstrap"):
        joint = _formula(model, data, links, method, options["errors"])
        beta, sigma = joint.draw(rng, size)
        settings = joint.settings
        if method == "bootstrap":
            block = options["block"] or block_length(links[0].n, ordered=bool(data.length))
            beta, sigma = bootstrap(links, rng, size, block=block)
            settings = (("block", block),)
        covariance = np.cov(beta.T) if method == "bootstrap" else joint.covariance
        groups["estimate"] = _estimate_group(joint, covariance)
        correlation = joint.correlation if method in ("sur", "3sls") else None
        diagnosis = Diagnosis(checks=_formula_checks(links, method), method=method)
    else:
        scales = model.scales_of(data)
        settings = tuple((f"scale of {name}", pair) for name, pair in scales.items())
        correlated = model.noise == "correlated"
        if method == "mcmc":
            sampler = {name: options[name] for name in SAMPLER}
            settings += tuple(sampler.items())
            beta, sigma, correlation, sampled = by_mcmc(
                links,
                model.priors,
                scales,
                correlated=correlated,
                seed=seed,
                draws=draws,
                chains=chains,
                cores=options["cores"],
                progress=options["progress"],
                **sampler,
            )
            groups["sample_stats"] = sampled["sample_stats"].to_dataset()
        elif method == "quadrature":
            beta, sigma, checks = quadrature(links, model.priors, rng, size, scales)
            diagnosis = Diagnosis(checks=checks, method=method)
        else:
            beta, sigma, correlation = prior_draws(links, model.priors, rng, size, scales, correlated=correlated)
            diagnosis = Diagnosis(checks=(), method=method)
    tree = _tree(links, beta, sigma, correlation, (chains, draws), groups)
    if method == "mcmc":
        diagnosis = diagnose_chains(tree, sampler=str(options["sampler"]))
    record = Record.of(
        model=model,
        data=data,
        method=method,
        seed=seed,
        draws=draws,
        chains=chains,
        settings=settings,
        n=links[0].n,
        counted=f"{data.length or 'row'}s of {', '.join(paths.variables)}",
        window=data.window,
        source=data.source,
    )
    return ChainFit(model=model, data=data, tree=tree, record=record, diagnosis=diagnosis)


def _formula(model: Any, data: Periods, links: tuple[Equation, ...], method: str, errors: Any) -> Joint:
    if method in ("sur", "3sls"):
        return as_system(links, method=method, source=model.paths().source)  # type: ignore[arg-type]
    return least_squares(
        links, errors=errors or ("hac" if data.length and method == "ols" and links[0].freedom > 1 else "classical")
    )


def _tree(
    links: tuple[Equation, ...],
    beta: np.ndarray,
    sigma: np.ndarray,
    correlation: np.ndarray | None,
    shape: tuple[int, int],
    groups: dict[str, xr.Dataset],
) -> xr.DataTree:
    names = [name for link in links for name in link.names]
    posterior: dict[str, Any] = dict(zip(names, np.moveaxis(beta.reshape(*shape, -1), -1, 0), strict=True))
    posterior["sigma"] = sigma.reshape(*shape, -1)
    targets = [link.target for link in links]
    pairs = [(early, late) for late in range(len(links)) for early in range(late)]
    if correlation is not None and pairs:
        below = np.stack([correlation[..., early, late] for early, late in pairs], axis=-1)
        posterior["correlation"] = np.broadcast_to(below, (*beta.shape[:-1], len(pairs))).reshape(*shape, -1)
    return tree_of(
        posterior,
        dims={"sigma": ["variable"], "correlation": ["pair"]},
        coords={"variable": targets, "pair": [f"{targets[early]} and {targets[late]}" for early, late in pairs]},
        **groups,
    )


def _estimate_group(joint: Joint, covariance: np.ndarray) -> xr.Dataset:
    names = list(joint.names)
    return xr.Dataset({"point": ("coefficient", joint.point), "covariance": (("coefficient", "other_coefficient"), covariance),
                       "stretch": ((), joint.stretch or 1.0)},
                      coords={"coefficient": names, "other_coefficient": names})  # fmt: skip


def _formula_checks(links: tuple[Equation, ...], method: str) -> tuple[Check, ...]:
    least = min(links, key=lambda link: link.freedom)
    checks = [
        Check(
            name="degrees of freedom",
            value=least.freedom,
            bound=f"at least {FREEDOM_MIN}",
            where=f"the link to {least.target}",
            verdict="PASS" if least.freedom >= FREEDOM_MIN else "REVIEW",
        )
    ]
    if method == "3sls":
        source = links[0].X[:, 0]
        strength = {}
        for link in links[1:]:
            r2 = np.corrcoef(source, link.X[:, 0])[0, 1] ** 2
            strength[link.parents[0]] = float(r2 / (1 - r2) * (link.n - 2))
        if strength:
            weakest = min(strength, key=strength.__getitem__)
            checks.append(
                Check(
                    name="weakest instrument F",
                    value=strength[weakest],
                    bound=f"at least {F_MIN}",
                    where=f"of {weakest}",
                    verdict="PASS" if strength[weakest] >= F_MIN else "REVIEW",
                )
            )
    return tuple(checks)
