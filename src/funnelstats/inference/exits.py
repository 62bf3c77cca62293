"""How do groups differ in pace and in direction? The competing-exits model for a sampler, on counts by stage and age band."""

from typing import Any

import numpy as np

from funnelstats.inference.priors import Prior

#: What is kept of the draws of :func:`exits_model` with groups.
KEPT = ("leave", "share", "pace_sd", "direction_sd", "drift_sd", "pace", "direction", "drift")


def exits_model(
    *, stage: np.ndarray, at_risk: np.ndarray, left: np.ndarray, advanced: np.ndarray, leave: Prior, share: Prior, pace_sd: Prior,
    direction_sd: Prior, drift_sd: Prior, coords: dict[str, list[str]], group: str | None,
) -> Any:  # fmt: skip
    """Build the PyMC model; effects of groups are non-centred.

    Parameters
    ----------
    stage : ndarray of int, shape (n_cells,)
        Stage of each cell.
    at_risk, left, advanced : ndarray, shape (n_groups, n_cells)
        Units of time at risk, exits, and those of them that advanced.
    leave, share : Prior
        Of each cell's chance of leaving in a unit of time, and of the share of the leaving who advance; of a typical group.
    pace_sd, direction_sd : Prior
        Of the standard deviation between groups of the logits of the two, for each stage.
    drift_sd : Prior
        Of the standard deviation of a group's pace between the age bands of a stage.
    coords : dict
        Labels of ``cell``, ``stage`` and the group.
    group : str, optional
        Dimension of the groups; None where there is one only, without effects.

    Returns
    -------
    pymc.Model
        Variables ``leave`` and ``share`` (cell), ``pace_sd``, ``direction_sd`` and ``drift_sd`` (stage), ``pace`` and ``direction``
        (group, stage), ``drift`` (group, cell).
    """
    import pymc as pm

    belongs = (np.arange(len(coords["stage"]))[:, None] == stage).astype(float)  # (stage, cell)
    with pm.Model(coords=coords) as model:
        logits = {name: pm.math.logit(prior.variable(name, dims="cell")) for name, prior in (("leave", leave), ("share", share))}
        if group is None:
            logits = {name: logit[None, :] for name, logit in logits.items()}
        else:
            for name, part, prior in (("leave", "pace", pace_sd), ("share", "direction", direction_sd)):
                sd = prior.variable(f"{part}_sd", dims="stage")
                effect = pm.Deterministic(part, sd * pm.Normal(f"{part}_z", dims=(group, "stage")), dims=(group, "stage"))
                logits[name] = logits[name][None, :] + effect @ belongs
            width = drift_sd.variable("drift_sd", dims="stage") @ belongs
            drift = pm.Deterministic("drift", width * pm.Normal("drift_z", dims=(group, "cell")), dims=(group, "cell"))
            logits["leave"] = logits["leave"] + drift
        for name, trials, wins in (("leave", at_risk, left), ("share", left, advanced)):
            # the binomial without its constant, on the whole grid: picking out the cells with trials is slower than their gradient
            eta = logits[name]
            pm.Potential(f"{name}_seen", pm.math.sum(wins * eta - trials * pm.math.log1pexp(eta)))
    return model
