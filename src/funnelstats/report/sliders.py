"""What happens if I move this? Sliders over the levers of a chain, in a running notebook.

Everything shown is :func:`~funnelstats.decisions.levers.what_if` with the sliders' values: on a page without a kernel, call that.
"""

from typing import Any

from funnelstats.decisions.levers import what_if
from funnelstats.models.chain_fit import ChainFit

_SPAN, _STEPS = 0.5, 100


def sliders(fit: ChainFit) -> Any:
    """Show a slider for the first variable and for each coefficient; moving one writes the scenario anew.

    Parameters
    ----------
    fit : ChainFit

    Returns
    -------
    ipywidgets.VBox
        Needs a running kernel. Each slider spans half of its estimate to either side.

    Examples
    --------
    >>> from funnelstats.data.periods import read_periods
    >>> from funnelstats.models.chain import Chain
    >>> board = sliders(Chain().fit(read_periods("bundled:monthly_chain"), seed=1))
    >>> [child.description for child in board.children[:3]]
    ['M', 'a', 'b']
    """
    from ipywidgets import HTML, FloatSlider, VBox

    source = fit.paths.source
    start = {source: float(fit.observed()[source].mean()), **fit.points()}
    made = {name: FloatSlider(value=value, min=value - _SPAN * abs(value), max=value + _SPAN * abs(value),
                              step=max(abs(value), 1e-9) / _STEPS, description=name, readout_format=".4g", continuous_update=False)
            for name, value in start.items()}  # fmt: skip
    answer = HTML()

    def write(_: Any = None) -> None:
        moved = {name: slider.value for name, slider in made.items() if slider.value != start[name]}
        answer.value = what_if(fit, base=start[source], **moved)._repr_html_()

    for slider in made.values():
        slider.observe(write, names="value")
    write()
    return VBox([*made.values(), answer])
