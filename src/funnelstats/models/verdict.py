"""When may a sentence say "higher"? When the draws say so with a stated probability; else it says "no clear difference".

One threshold for the package: 95 % on one side, which is where a 90 % equal-tailed interval of the difference leaves out zero.
"""

from funnelstats.errors import DataError, Problem

#: Probability from which a sentence may name a direction.
CLEAR = 0.95


def in_words(probability: float, *, clear: float = CLEAR) -> str:
    """Say how one quantity compares with another.

    Parameters
    ----------
    probability : float
        Share of joint draws in which the one is above the other.
    clear : float
        Least probability of either direction that is named; between 0.5 and 1.

    Returns
    -------
    str
        ``"higher"``, ``"lower"`` or ``"no clear difference"``.

    Examples
    --------
    >>> in_words(0.97), in_words(0.8), in_words(0.01)
    ('higher', 'no clear difference', 'lower')
    """
    problems = []
    if not 0 <= probability <= 1:
        problems.append(Problem("probability", f"expected a number from 0 to 1, found {probability!r}"))
    if not 0.5 < clear <= 1:
        problems.append(Problem("clear", f"expected a probability above 0.5 and up to 1, found {clear!r}"))
    if problems:
        raise DataError("a comparison in words", problems)
    if probability >= clear:
        return "higher"
    return "lower" if probability <= 1 - clear else "no clear difference"


def chance(probability: float) -> str:
    """Write a probability as a reader can use it; draws never prove 0 or 1.

    Examples
    --------
    >>> chance(0.874), chance(0.9999), chance(0.0)
    ('87%', 'over 99%', 'under 1%')
    """
    if probability > 0.99:
        return "over 99%"
    return "under 1%" if probability < 0.01 else f"{probability:.0%}"
