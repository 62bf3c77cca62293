"""Sales-funnel, customer-value and Bayesian conversion statistics with numbers that can be cited.

Public names are loaded when they are first asked for, so that ``import funnelstats`` loads no data engine and no sampler.
"""

from importlib import import_module
from typing import Any

#: Public name -> module that defines it. A new public name is a line here.
_PUBLIC = {
    # leaves
    "DataError": "errors",
    "Problem": "errors",
    "ObservationWindow": "window",
    "Interval": "interval",
    "Estimate": "estimate",
    "NotIdentified": "estimate",
    # data
    "read_crm": "data.crm",
    "EventLog": "data.events",
    "Mapping": "data.mapping",
    "StageCounts": "data.stages",
    "StageHazards": "data.stages",
    "load_dataset": "data.datasets",
    "list_datasets": "data.datasets",
    "dataset_card": "data.datasets",
    "simulate_crm": "data.simulate",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("funnelstats")
    if name not in _PUBLIC:
        import difflib

        close = difflib.get_close_matches(name, _PUBLIC, n=1)
        raise AttributeError(f"funnelstats has no {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    value = globals()[name] = getattr(import_module(f"funnelstats.{_PUBLIC[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
