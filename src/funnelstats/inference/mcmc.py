"""How are draws obtained when no formula gives them? The No-U-Turn sampler on a PyMC model, seeded and labelled.

Hoffman & Gelman (2014), JMLR 15:1593-1623.  ``nutpie`` compiles the model once with numba and is the default; PyMC's own
sampler is the second opinion.  The same seed gives the same draws, whatever the number of cores.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr

from funnelstats.errors import DataError, Problem
from funnelstats.inference.priors import Prior
from funnelstats.inference.tree import SAMPLE_DIMS, STATISTICS

Sampler = Literal["nutpie", "pymc"]


def sample(
    model: Any, *, seed: int, draws: int = 1000, chains: int = 4, tune: int = 1000, cores: int = 1, sampler: Sampler = "nutpie",
    target_accept: float = 0.9, progress: bool = False, keep: tuple[str, ...] = (),
) -> xr.DataTree:  # fmt: skip
    """Draw from the posterior of a PyMC model.

    Parameters
    ----------
    model : pymc.Model
        With its data.
    seed : int
        The same seed, model and sampler give the same draws.
    draws, chains, tune : int
        Kept draws of each chain, chains, and discarded adaptation steps of each chain.
    cores : int
        Chains that run at the same time; draws do not depend on it.
    sampler : {"nutpie", "pymc"}
        Who samples.
    target_accept : float
        Higher means smaller steps: slower, and fewer divergences.
    progress : bool
        Show a progress bar.
    keep : tuple of str
        Names to keep in the posterior; empty keeps every one, whitened auxiliaries included.

    Returns
    -------
    DataTree
        Groups ``posterior`` and ``sample_stats`` (``diverging``, ``energy``, ``n_steps``, ``tree_depth``, ``step_size``).

    Raises
    ------
    DataError
        An unknown sampler, or a number of draws, chains or adaptation steps that cannot be run.
    """
    problems = [Problem(name, f"expected a whole number of at least {least}, found {value!r}")
                for name, value, least in (("draws", draws, 4), ("chains", chains, 1), ("tune", tune, 1), ("cores", cores, 1))
                if not (isinstance(value, int | np.integer) and value >= least)]  # fmt: skip
    if sampler not in get_args(Sampler):
        problems.append(Problem("sampler", f"expected one of {', '.join(get_args(Sampler))}, found {sampler!r}"))
    if problems:
        raise DataError("the sampler", problems)
    run = _nutpie if sampler == "nutpie" else _pymc
    settings = {"draws": draws, "chains": chains, "tune": tune, "cores": cores, "target_accept": target_accept}
    return _kept(run(model, seed=seed, progress=progress, **settings), keep)


def sample_function(
    density: Callable[[np.ndarray], tuple[float, np.ndarray]], *, start: np.ndarray, seed: int, draws: int = 1000, chains: int = 4,
    tune: int = 1000, cores: int = 1, target_accept: float = 0.9, progress: bool = False,
) -> xr.DataTree:  # fmt: skip
    """Draw from a density that comes with its slope: nothing is compiled, so small problems are done in a second.

    Parameters
    ----------
    density : callable
        Flat vector to (log density, slope) on an unbounded scale, Jacobians included.
    start : ndarray, shape (n,)
        Where chains start, each a little apart.
    seed, draws, chains, tune, cores, target_accept, progress
        As for :func:`sample`.

    Returns
    -------
    DataTree
        ``posterior`` with one variable ``point`` of shape (chain, draw, n); ``sample_stats``.
    """
    from nutpie.compiled_pyfunc import from_pyfunc

    size = len(start)

    def first(chain_seed: int) -> np.ndarray:
        return start + np.random.default_rng(chain_seed).uniform(-0.5, 0.5, size)

    compiled = from_pyfunc(size, lambda: density, lambda *_: lambda point: {"point": point}, [np.dtype(np.float64)], [(size,)],
                           ["point"], make_initial_point_fn=first)  # fmt: skip
    tree = _run_nutpie(compiled, seed=seed, progress=progress, draws=draws, chains=chains, tune=tune, cores=cores,
                       target_accept=target_accept)  # fmt: skip
    return _kept(tree, ())


def density_model(priors: Mapping[str, Prior], log_likelihood: Callable[..., Any]) -> Any:
    """Build a PyMC model from priors and a log likelihood written in ``xp``.

    Parameters
    ----------
    priors : mapping of str to Prior
        Name of each scalar parameter and its prior.
    log_likelihood : callable
        Takes the parameters by name and ``xp``, the namespace of functions; returns a scalar.

    Returns
    -------
    pymc.Model
    """
    import pymc as pm

    from funnelstats.inference import tensors

    with pm.Model() as model:
        variables = {name: prior.variable(name) for name, prior in priors.items()}
        pm.Potential("log_likelihood", log_likelihood(**variables, xp=tensors))
    return model


def _nutpie(model: Any, **settings: Any) -> xr.DataTree:
    import nutpie

    with warnings.catch_warnings():
        # numba reports that its cache cannot be used for a function built at run time; nobody can act on it
        warnings.simplefilter("ignore")
        return _run_nutpie(nutpie.compile_pymc_model(model), **settings)


def _run_nutpie(compiled: Any, *, seed: int, progress: bool, **settings: Any) -> xr.DataTree:
    import nutpie

    tree: xr.DataTree = nutpie.sample(compiled, seed=_seed(seed), progress_bar=progress, save_warmup=False, **settings)
    return tree


def _pymc(model: Any, *, seed: int, progress: bool, **settings: Any) -> xr.DataTree:
    import pymc as pm

    # convergence is judged by diagnose.py with this package's thresholds, not by a second set of warnings
    tree: xr.DataTree = pm.sample(model=model, nuts_sampler="pymc", random_seed=_seed(seed), progressbar=progress,
                                  quiet=not progress, compute_convergence_checks=False, **settings)  # fmt: skip
    return tree


def _seed(seed: int) -> int:
    """Spread nearby seeds apart, as 32 bits are all that the samplers take."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def _kept(tree: xr.DataTree, keep: tuple[str, ...]) -> xr.DataTree:
    posterior, statistics = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
    posterior = posterior[list(keep)] if keep else posterior
    return xr.DataTree.from_dict({"/posterior": _plain(posterior), "/sample_stats": _statistics(statistics)})


def _plain(dataset: xr.Dataset) -> xr.Dataset:
    """Draws and labels only: the attributes hold the time of day, and two equal fits must be equal."""
    plain = xr.Dataset({str(name): v.transpose(*SAMPLE_DIMS, ...).variable for name, v in dataset.data_vars.items()},
                       coords={name: c.variable for name, c in dataset.coords.items() if c.dims == (name,)})  # fmt: skip
    plain.attrs = {}
    return plain


def _statistics(dataset: xr.Dataset) -> xr.Dataset:
    kept = _plain(dataset[[name for name in STATISTICS if name in dataset]])
    kept = kept.rename({"depth": "tree_depth"}) if "depth" in kept else kept
    return kept.assign(diverging=kept["diverging"].astype("int8"))
