"""Units of measure as small values, so that money, days and rates are never added by mistake.

A unit is a product of named powers: ``"CNY"``, ``"CNY/lead"``, ``"1/day"``, or ``""`` for a pure number such as a rate.
"""

from collections import Counter

from funnelstats.errors import UnitError


def parse(unit: str) -> Counter[str]:
    """Split ``"CNY/lead"`` into powers ``{"CNY": 1, "lead": -1}``."""
    powers: Counter[str] = Counter()
    for position, part in enumerate(unit.split("/")):
        for name in part.split("*"):
            if name.strip() not in ("", "1"):
                powers[name.strip()] += 1 if position == 0 else -1
    return powers


def write(powers: Counter[str]) -> str:
    """Write powers back as text; the inverse of :func:`parse`."""
    above = "*".join(name for name, power in powers.items() for _ in range(power))
    below = "".join(f"/{name}" for name, power in powers.items() for _ in range(-power))
    return (above or ("1" if below else "")) + below


def multiply(left: str, right: str) -> str:
    """Unit of a product.

    Examples
    --------
    >>> multiply("CNY/deal", "deal/lead")
    'CNY/lead'
    """
    powers = parse(left)
    powers.update(parse(right))
    return write(powers)


def divide(left: str, right: str) -> str:
    """Unit of a quotient."""
    powers = parse(left)
    powers.subtract(parse(right))
    return write(powers)


def spoken(unit: str) -> str:
    """A unit as people say it.

    Examples
    --------
    >>> spoken("CNY/lead"), spoken("1/day"), spoken("day")
    ('CNY per lead', 'per day', 'day')
    """
    return " per ".join(part.strip() for part in unit.split("/")).removeprefix("1 ")


def counted(unit: str, number: str) -> str:
    """A unit as people say it after a number: things and times in the plural, currencies and abbreviations as they are.

    Examples
    --------
    >>> counted("deal", "6"), counted("deal", "1"), counted("day/enquiry", "2.5"), counted("enquiry", "0"), counted("money/lead", "7")
    ('deals', 'deal', 'days per enquiry', 'enquiries', 'money per lead')
    """
    said, apart, rest = spoken(unit).partition(" per ")
    if number != "1" and len(said) > 2 and said.isalpha() and said.islower() and said not in ("min", "per", "money"):
        said = said.removesuffix("y") + "ies" if said.endswith(("cy", "ly", "ny", "ry", "ty")) else said + "s"
    return said + apart + rest


#: Names of a stage that are also what a case in it is called.
_CASES = ("lead", "deal", "opportunity", "enquiry", "application", "visit", "order", "customer")


def per_entrant(unit: str, stage: str) -> str:
    """Unit of a ratio to those who enter a stage, which is named where its name is not that of a case.

    Examples
    --------
    >>> per_entrant("CNY", "Lead"), spoken(per_entrant("USD", "Prospecting"))
    ('CNY/lead', 'USD per entrant of Prospecting')
    """
    case = stage.strip().lower()
    return f"{unit}/{case if case in _CASES else f'entrant of {stage}'.replace('/', ' or ').replace('*', ' ')}"


def same(left: str, right: str, *, doing: str) -> str:
    """Return the common unit of two quantities that are to be added or compared.

    Raises
    ------
    UnitError
        The units differ.
    """
    if {k: v for k, v in parse(left).items() if v} != {k: v for k, v in parse(right).items() if v}:
        left_name, right_name = left or "a pure number", right or "a pure number"
        raise UnitError(f"cannot {doing} {left_name} and {right_name}: convert one of them first")
    return left
