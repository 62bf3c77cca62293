"""What does a purchase history promise? Matrices of frequency and recency: expected purchases and P(alive).

The model speaks for every history; dots show where there are customers, and elsewhere it speaks alone.
"""

from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.customers import Customers
from funnelstats.errors import DataError, Problem
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.buying import BuyingFit
from funnelstats.models.occasions import BgBb
from funnelstats.models.purchases import BgNbd, MbgNbd
from funnelstats.report.figures import Chart, caption, new_figure
from funnelstats.report.theme import HEAT, OPEN, styled

#: Most columns and rows of a matrix that are still told apart.
MOST_COLUMNS, MOST_ROWS = 30, 24


def history_matrix(fit: BuyingFit[Any], *, horizon: float, interval: Interval = DEFAULT) -> pd.DataFrame:
    """Tabulate what a history of each frequency and recency promises, for customers as old as the oldest.

    Parameters
    ----------
    fit : BuyingFit
    horizon : float
        In the data's unit of time.
    interval : Interval
        Of the bounds.

    Returns
    -------
    DataFrame
        One row for each frequency and recency that go together: ``frequency``, ``recency``, ``probability_alive`` and
        ``expected_purchases`` with ``_lower`` and ``_upper``, ``customers`` (of the data, of any age, nearest to this history),
        ``T``, ``horizon``, ``unit``, ``interval``.

    Examples
    --------
    >>> from funnelstats.models.purchases import MbgNbd
    >>> data = Customers.of([0, 1, 4, 2], [0, 9, 30, 12], 39.0, unit="week", weight=[60, 20, 10, 10])
    >>> table = history_matrix(MbgNbd().fit(data, seed=1), horizon=39)
    >>> int(table["customers"].sum()), table.columns[:3].tolist()
    (100, ['frequency', 'recency', 'probability_alive'])
    """
    data, grid = _grid(fit)
    if not grid:
        raise DataError("the matrix", [Problem("T", f"expected a time of observation, found {data.T.max():g} {data.unit}s")])
    x, t_x = (np.array(part) for part in zip(*grid, strict=True))
    age = float(data.T.max())
    cells = Customers(frequency=x, recency=t_x, T=np.full(len(x), age), monetary_value=np.full(len(x), np.nan),
                      weight=np.ones(len(x), dtype=np.int64), unit=data.unit)  # fmt: skip
    found = fit.table(horizon=horizon, interval=interval, customers=cells).drop(columns=["horizon", "interval"])
    rows = np.unique(t_x[x > 0]) if (x > 0).any() else np.array([0.0])
    near = np.where(data.frequency > 0, rows[np.searchsorted((rows[1:] + rows[:-1]) / 2, data.recency)], 0.0)
    seen = pd.Series(data.weight).groupby([np.minimum(data.frequency, x.max()), near]).sum()
    place = pd.MultiIndex.from_arrays([x, t_x])
    found = found.reset_index(drop=True).assign(customers=seen.reindex(place).fillna(0).to_numpy(dtype=int), T=age)
    found.insert(0, "frequency", x)
    found.insert(1, "recency", t_x)
    return found.assign(horizon=horizon, unit=data.unit, interval=str(interval))


def plot_frequency_recency(fit: BuyingFit[Any], *, horizon: float) -> Chart:
    """Draw the expected purchases of every history as a matrix of frequency and recency.

    Parameters
    ----------
    fit : BuyingFit
    horizon : float
        In the data's unit of time.

    Returns
    -------
    Chart
        Table twin: :func:`history_matrix`. Dots mark histories that occur.

    Examples
    --------
    >>> from funnelstats.models.purchases import MbgNbd
    >>> data = Customers.of([0, 1, 4, 2], [0, 9, 30, 12], 39.0, unit="week", weight=[60, 20, 10, 10])
    >>> plot_frequency_recency(MbgNbd().fit(data, seed=1), horizon=39).alt[:58]
    'Expected purchases in the next 39 weeks by frequency and r'
    """
    table = history_matrix(fit, horizon=horizon)
    return _matrix(fit, table, "expected_purchases", f"Expected purchases in the next {horizon:g} {fit.data.unit}s", "{:.1f}")


def plot_alive_matrix(fit: BuyingFit[Any]) -> Chart:
    """Draw P(alive) of every history as a matrix of frequency and recency.

    Parameters
    ----------
    fit : BuyingFit

    Returns
    -------
    Chart
        Table twin: :func:`history_matrix`. P(alive) is the model's own and must not be compared between models.

    Examples
    --------
    >>> from funnelstats.models.purchases import MbgNbd
    >>> data = Customers.of([0, 1, 4, 2], [0, 9, 30, 12], 39.0, unit="week", weight=[60, 20, 10, 10])
    >>> plot_alive_matrix(MbgNbd().fit(data, seed=1)).alt[:38]
    'P(alive) by frequency and recency, for'
    """
    return _matrix(fit, history_matrix(fit, horizon=0.0), "probability_alive", "P(alive)", "{:.0%}")


def _grid(fit: BuyingFit[Any]) -> tuple[Customers, list[tuple[int, float]]]:
    """Histories that can be: nothing bought again, or frequency and recency at the middle of each row."""
    data = fit.data
    age, most = float(data.T.max()), min(max(int(data.frequency.max()), 1), MOST_COLUMNS)
    if isinstance(fit.model, BgBb):  # as many occasions as were taken must have passed
        last = [(x, float(t)) for t in range(1, int(age) + 1) for x in range(1, min(most, t) + 1)]
    else:
        last = [(x, (row + 0.5) * age / MOST_ROWS) for row in range(MOST_ROWS) for x in range(1, most + 1) if age > 0]
    return data, [(0, 0.0), *last] if last else []


def _matrix(fit: BuyingFit[Any], table: pd.DataFrame, name: str, title: str, shape: str) -> Chart:
    from matplotlib.colors import LinearSegmentedColormap

    back, once = table[table["frequency"] > 0], table[table["frequency"] == 0]
    wide = back.pivot(index="recency", columns="frequency", values=name)
    steps = wide.index.to_numpy(dtype=float)
    step = steps[1] - steps[0] if len(steps) > 1 else 1.0
    edges = np.append(steps - step / 2, steps[-1] + step / 2)
    shades, top = LinearSegmentedColormap.from_list("heat", HEAT), 1.0 if name == "probability_alive" else None
    unit, age = fit.data.unit, float(table["T"].iloc[0])
    bought = "purchase" if isinstance(fit.model, BgBb) else "repeat purchase"
    with styled():
        figure = new_figure(height=4.8)
        axes = figure.add_subplot()
        mesh = axes.pcolormesh(np.arange(len(wide.columns) + 1) + 0.5, edges, wide.to_numpy(), cmap=shades, vmin=0, vmax=top)
        axes.pcolormesh([-0.5, 0.5], [edges[0] - step, edges[0]], once[[name]].to_numpy(), cmap=shades, norm=mesh.norm)
        seen = table[table["customers"] > 0]
        at = np.where(seen["frequency"] > 0, seen["recency"], edges[0] - step / 2)
        axes.scatter(seen["frequency"], at, s=7, color=OPEN, edgecolor="white", lw=0.4, zorder=3)
        labels = {"xlabel": f"frequency: {bought}s", "ylabel": f"recency: {unit}s from first to last purchase"}
        if isinstance(fit.model, BgBb):
            labels["ylabel"] = "recency: number of the last occasion taken"
        axes.set(**labels, ylim=(edges[0] - step, edges[-1]), title=title)
        bar = figure.colorbar(mesh, ax=axes, pad=0.02, format=(lambda value, _: f"{value:.0%}") if top else "%g")
        bar.outline.set_visible(False)
        text = f"For customers observed for {age:.3g} {unit}s, means of the {type(fit.model).__name__} fit. Dots: histories near which " \
               f"there are customers; elsewhere the model speaks alone. Lowest cell: no {bought}."  # fmt: skip
        if fit.data.frequency.max() > MOST_COLUMNS:
            text += f" Frequencies above {MOST_COLUMNS} count in the last column."
        if top and isinstance(fit.model, BgNbd) and not isinstance(fit.model, MbgNbd):
            text += " It is 1 by construction under BG/NBD."
        caption(figure, text)
        head = f"{title} by frequency and recency, for customers observed for {age:.3g} {unit}s."
        return Chart(
            figure, f"{head} No {bought}: {shape.format(once[name].iloc[0])}. {_columns(wide, shape, unit, age, bought)}"
        )


def _columns(wide: pd.DataFrame, shape: str, unit: str, age: float, bought: str) -> str:
    """The least, the middle and the largest frequency in words: top and middle of each column."""
    say = []
    for x in dict.fromkeys((1, int(wide.columns[len(wide.columns) // 2]), int(wide.columns[-1]))):
        column = wide[x].dropna()
        places = dict.fromkeys((column.index[-1], column.index[len(column) // 2]))
        parts = [
            f"{shape.format(column[at])} with the last one {age - at:.3g} {unit}{'' if age - at == 1 else 's'} ago"
            for at in places
        ]
        say.append(f"{x} {bought}{'' if x == 1 else 's'}: {', '.join(parts)}.")
    return " ".join(say)
