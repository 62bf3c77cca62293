"""Which chains cannot be, and which data cannot answer for one? Refused with every reason at once."""

import string
from typing import Any, Literal, get_args

from funnelstats.data.periods import Periods
from funnelstats.errors import DataError, Problem
from funnelstats.models.chain_estimate import Errors

Noise = Literal["independent", "correlated"]
#: Names of coefficients, in order.
LETTERS = string.ascii_lowercase


def shape_problems(chain: Any) -> list[Problem]:
    """Reasons for which a specification is no chain."""
    names, problems = chain.variables, []
    if len(names) < 2 or len(set(names)) < len(names) or not all(names):
        problems.append(Problem("variables", f"expected two or more different names, found {names}", 'write "M -> L -> S -> R"'))
        return problems
    if 2 * (len(names) - 1) + len(chain.skips) > len(LETTERS):
        problems.append(Problem("variables", f"expected at most {len(LETTERS)} coefficients, found more"))
    for skip in chain.skips:
        known = len(skip) == 2 and set(skip) <= set(names)
        if not known or names.index(skip[1]) - names.index(skip[0]) < 2:
            found = " -> ".join(skip)
            problems.append(
                Problem("skips", f"expected an arrow forward past at least one of {' -> '.join(names)}, found {found}")
            )
        elif set(skip) & set(chain.hidden):
            what = f"{' -> '.join(skip)} touches a variable that was not recorded, so it cannot be told from the links"
            problems.append(Problem("skips", what))
    if len(set(chain.skips)) < len(chain.skips):
        problems.append(Problem("skips", "the same arrow is there twice"))
    unknown = [name for name in chain.hidden if name not in names[1:-1]]
    if unknown:
        problems.append(Problem("hidden", f"expected variables between {names[0]} and {names[-1]}, found {unknown}"))
    wrong = [(name, lag) for name, lag in chain.lags if name not in names[1:] or lag < 0]
    if wrong:
        problems.append(Problem("lags", f"expected whole numbers from 0 on for {list(names[1:])}, found {wrong}"))
    if chain.noise not in get_args(Noise):
        problems.append(Problem("noise", f"expected one of {', '.join(get_args(Noise))}, found {chain.noise!r}"))
    for name, _, spread in chain.scales:
        if name not in names or not spread > 0:
            problems.append(Problem("scales", f"expected a variable and a positive spread, found {name!r}, {spread!r}"))
    if not all(prior.proper for prior in (chain.slope, chain.baseline, chain.spread)) or chain.spread.support[0] < 0:
        problems.append(Problem("priors", "expected proper priors, that of the spread on positive numbers"))
    return problems


def require_data(chain: Any, data: Any, method: str, errors: str | None) -> None:
    """Refuse data without a variable of the chain, and a method that does not fit them.

    Raises
    ------
    DataError
        Every reason.
    """
    if not isinstance(data, Periods):
        raise DataError("Chain.fit", [Problem("data", f"expected Periods, found {type(data).__name__}", "use read_periods(...)")])
    problems = []
    for name in chain.variables:
        if name not in data.variables and name not in chain.hidden:
            fix = (
                f"name its column, or say hidden=({name!r},) if it was never recorded: the links around it are then known as one"
            )
            ends = name in (chain.variables[0], chain.variables[-1])
            problems.append(Problem(name, f"missing link: expected a variable, found {', '.join(data.variables)}",
                                    "name its column; a column of text is none" if ends else fix))  # fmt: skip
    if errors is not None and errors not in get_args(Errors):
        problems.append(Problem("errors", f"expected one of {', '.join(get_args(Errors))}, found {errors!r}"))
    elif errors == "hac" and not data.length:
        problems.append(Problem("errors", "hac asks for neighbouring periods, and the rows have no order", 'use "hc3"'))
    if chain.noise == "correlated" and method not in ("mcmc", "prior"):
        problems.append(Problem("method", f"correlated noise needs mcmc, found {method!r}", 'or compare method="3sls"'))
    if problems:
        raise DataError(f"{' -> '.join(chain.variables)} in {data.source}", problems)
