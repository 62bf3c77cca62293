"""To how many digits is a number worth printing? To those that its interval supports."""

import numpy as np


def decimals(lower: float, upper: float) -> int:
    """Decimal places worth printing, given how far apart the bounds are; negative for tens, hundreds, thousands.

    Half the width keeps one digit, or two where the first is 1 or 2: more would pretend to a precision that is not there.

    Examples
    --------
    >>> decimals(3.5, 4.5), decimals(53.0, 55.6), decimals(118_000, 129_000)
    (1, 1, -3)
    """
    half = abs(upper - lower) / 2
    if not (half > 0 and np.isfinite(half)):
        return 2
    power = int(np.floor(np.log10(half)))
    return -power + (1 if half / 10**power < 3 else 0)


def digits_of(point: float, lower: float, upper: float) -> list[int]:
    """Decimal places of a point and its bounds: the same for all, but where they lie powers of ten apart; then two digits of each.

    Examples
    --------
    >>> digits_of(4.0, 3.5, 4.5), digits_of(1_480.0, 56.0, 112_000.0)
    ([1, 1, 1], [-2, 0, -4])
    """
    places = decimals(lower, upper)
    if lower > 0 and not round(point, places):
        return [decimals(0, value) for value in (point, lower, upper)]
    return [places] * 3


def written(point: float, lower: float, upper: float, *, share: bool) -> list[str]:
    """A point and its bounds as text, a share in per cent.

    Examples
    --------
    >>> written(0.0398, 0.035, 0.0452, share=True)
    ['4.0%', '3.5%', '4.5%']
    """
    scale, sign = (100, "%") if share else (1, "")
    values = [scale * value for value in (point, lower, upper)]
    places = digits_of(*values)
    return [f"{round(value, digits) + 0.0:,.{max(digits, 0)}f}{sign}" for value, digits in zip(values, places, strict=True)]
