"""How is the derived formula written, with letters or with the numbers in it? ``R = e(c(aM + b) + d) + f``, multiplied out.

The same text is plain reading and valid LaTeX.
"""

from collections.abc import Mapping

from funnelstats.models.chain_paths import Paths


def formula(paths: Paths, values: Mapping[str, float] | None = None, *, digits: int = 4) -> str:
    """Write the chain as one line.

    Parameters
    ----------
    paths : Paths
        A chain without skip arrows is written nested and multiplied out; one with skip arrows as its equations and its total
        effect.
    values : mapping of str to float, optional
        Coefficients; letters are written where they are not given.
    digits : int
        Significant digits of numbers.

    Returns
    -------
    str

    Examples
    --------
    >>> from funnelstats.models.chain import Chain
    >>> formula(Chain().paths(), {"a": 100, "b": 0, "c": 0.5, "d": 0, "e": 0.8, "f": 0})
    'R = 0.8 (0.5 (100 M + 0) + 0) + 0 = 40 M + 0'
    """
    if len(paths.arrows) == len(paths.baselines):
        forms = dict.fromkeys((_nested(paths, values, digits), _expanded(paths, values, digits)))
        return " = ".join([paths.outcome, *forms])
    equations = "; ".join(_equation(paths, target, values, digits) for target, _ in paths.baselines)
    if values is None:
        total = " + ".join("".join(arrow.name for arrow in reversed(route)) for route in paths.routes())
    else:
        total = _number(paths.totals(values)[paths.source], digits)
    return f"{equations}; total effect of {paths.source} on {paths.outcome}: {total}"


def _nested(paths: Paths, values: Mapping[str, float] | None, digits: int) -> str:
    text = paths.source
    for at, (target, baseline) in enumerate(paths.baselines):
        slope = paths.into(target)[0].name
        inner = f"({text})" if at else text
        text = _line(paths, slope, inner, baseline, values, digits)
    return text


def _expanded(paths: Paths, values: Mapping[str, float] | None, digits: int) -> str:
    if values is not None:
        total, baseline = paths.totals(values)[paths.source], paths.means(values, 0.0)[paths.outcome]
        return f"{_number(total, digits)} {paths.source} {_signed(baseline, digits)}"
    slopes, text = "", ""
    for target, baseline in paths.baselines:
        slope = paths.into(target)[0].name
        slopes = slope + slopes
        inner = f"({text})" if " " in text else text
        text = f"{slope}{inner} + {_written(paths, baseline)}" if text else _written(paths, baseline)
    return f"{slopes}{paths.source} + {text}"


def _equation(paths: Paths, target: str, values: Mapping[str, float] | None, digits: int) -> str:
    baseline = dict(paths.baselines)[target]
    if values is None:
        terms = [f"{arrow.name}{arrow.source}" for arrow in paths.into(target)]
        return f"{target} = {' + '.join([*terms, _written(paths, baseline)])}"
    first, *others = paths.into(target)
    text = f"{_number(values[first.name], digits)} {first.source}"
    text += "".join(f" {_signed(values[arrow.name], digits)} {arrow.source}" for arrow in others)
    return f"{target} = {text} {_signed(values[baseline], digits)}"


def _line(paths: Paths, slope: str, inner: str, baseline: str, values: Mapping[str, float] | None, digits: int) -> str:
    if values is None:
        return f"{slope}{inner} + {_written(paths, baseline)}"
    return f"{_number(values[slope], digits)} {inner} {_signed(values[baseline], digits)}"


def _written(paths: Paths, baseline: str) -> str:
    return dict(paths.written).get(baseline, baseline)


def _number(value: float, digits: int) -> str:
    return f"{float(value):.{digits}g}"


def _signed(value: float, digits: int) -> str:
    return f"{'-' if float(value) < 0 else '+'} {_number(abs(float(value)), digits)}"
