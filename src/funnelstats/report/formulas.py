"""Which model was it, in one line of mathematics, and what were its priors, in plain numbers?"""

from dataclasses import fields
from typing import Any

from funnelstats.inference.priors import Prior

#: Class of a model -> its likelihood in one line.
FORMULAS = {
    "CompletePooling": "wins ~ Binomial(trials, p), one p for all groups",
    "NoPooling": "wins_g ~ Binomial(trials_g, p_g), each p_g by itself",
    "BetaBinomial": "wins_g ~ Binomial(trials_g, p_g), p_g ~ Beta(mean, concentration)",
    "HierarchicalConversion": "advanced ~ Binomial(settled, p), logit p = typical of the step + effects of the groups at the step; "
    "effects of a group are normal around 0 and correlated over steps",
    "CompetingExits": "left_b ~ Binomial(at risk_b, leave_b), advanced_b ~ Binomial(left_b, share_b), b = bands of age in a stage",
    "BgNbd": "purchases ~ Poisson(rate), rate ~ Gamma(r, alpha); leaves after a repeat purchase with probability ~ Beta(a, b)",
    "MbgNbd": "purchases ~ Poisson(rate), rate ~ Gamma(r, alpha); leaves after any purchase with probability ~ Beta(a, b)",
    "ParetoNbd": "purchases ~ Poisson(rate), rate ~ Gamma(r, alpha); lifetime ~ Exponential(mu), mu ~ Gamma(s, beta)",
    "BgBb": "buys at an occasion with probability ~ Beta(alpha, beta), leaves before one with probability ~ Beta(gamma, delta)",
    "ShiftedBetaGeometric": "cancels at each renewal with a probability of its own ~ Beta(mean, concentration)",
    "GammaGamma": "mean spend of a purchase ~ Gamma(p, rate), rate ~ Gamma(q, v)",
}
COUNTS = "wins ~ Binomial(trials, p)"
JEFFREYS = "p ~ beta(a=0.5, b=0.5), Jeffreys"


def formula_of(model: Any) -> str:
    """The likelihood of a model in one line; a model that writes its own formula is taken by its word.

    Examples
    --------
    >>> from funnelstats.models.chain import Chain
    >>> formula_of(Chain.of("M -> L -> R"))
    'R = c(aM + b) + d = caM + cb + d'
    """
    written = FORMULAS.get(type(model).__name__, "")
    return written or (str(model) if "__str__" in vars(type(model)) else "")


def priors_of(model: Any) -> tuple[str, ...]:
    """Each prior with the stretch that holds 90 % of it.

    Examples
    --------
    >>> from funnelstats.models.exchangeable import BetaBinomial
    >>> priors_of(BetaBinomial())[0]
    'mean ~ beta(a=1, b=1), 90% within 0.05 to 0.95'
    """
    named = [(field.name, getattr(model, field.name)) for field in fields(model)]
    if getattr(model, "group", "some") is None:  # spreads between groups have no part where there are none
        named = [(name, value) for name, value in named if not name.endswith("_sd")]
    return tuple(f"{name} ~ {prior}, {prior.says()}" for name, prior in named if isinstance(prior, Prior))
