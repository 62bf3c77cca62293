"""How do the article's two chapters differ, and how far does its training get? Two pictures of exact numbers."""

from typing import Any

import pandas as pd

from funnelstats.models.article import chapters_table, training_table
from funnelstats.models.article_training import Training
from funnelstats.report.figures import Chart, caption, new_figure
from funnelstats.report.theme import ADVANCED, INK, LINES, LOST, OPEN, styled


def plot_chapters() -> Chart:
    """Draw revenue by marketing as chapter 4 and as chapter 5 have it, with the rows of chapter 5.

    Returns
    -------
    Chart
        Table twin: :func:`~funnelstats.models.article.chapters_table`.

    Examples
    --------
    >>> plot_chapters().alt[:52]
    'Revenue by marketing in the article. Chapter 4: a li'
    """
    table, months = chapters_table(), training_table().frame
    with styled():
        figure = new_figure(height=3.4)
        axes = figure.add_subplot()
        for (colour, dash, _), name, label in zip(
            LINES, ("chapter4", "chapter5"), ("chapter 4: 40 M", "chapter 5: 200 + 20 M"), strict=False
        ):
            axes.plot(
                [0, *table["M"]], [0 if name == "chapter4" else 200, *table[name]], color=colour, ls=dash, lw=1.8, label=label
            )
        axes.scatter(months["M"], months["R"], s=26, facecolor="white", edgecolor=INK, zorder=3, label="rows of chapter 5")
        axes.set(xlabel="M, 10k CNY", ylabel="R, 10k CNY", xlim=(0, None), ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=9.5)
        caption(figure, "Both lines are exact. They cross once, at M = 10.")
        last = table.iloc[-1]
        return Chart(figure, f"Revenue by marketing in the article. Chapter 4: a line through the origin, R = 40 M. Chapter 5: R = 200 + 20 M, on which "
                             f"its five rows lie. They cross at M = 10; at M = {last['M']:g} they say {last['chapter4']:g} and {last['chapter5']:g}.")  # fmt: skip


def plot_training(training: Training) -> Chart:
    """Draw the loss on the way, the middle half and all of the starts, both axes logarithmic.

    Parameters
    ----------
    training : Training
        Of :func:`~funnelstats.models.article_training.train`.

    Returns
    -------
    Chart
        Table twin: :func:`loss_table`.

    Examples
    --------
    >>> from funnelstats.models.article_training import train
    >>> plot_training(train(range(5), steps=20)).alt[:44]
    'Loss of 5 starts over 20 steps of Adam. Half'
    """
    table = loss_table(training)
    with styled():
        figure = new_figure(height=3.2)
        axes = figure.add_subplot()
        table = table[table["step"] > 0]  # a logarithmic axis has no zero
        steps = table["step"].to_numpy(dtype=float)
        axes.fill_between(steps, table["least"], table["most"], color=LOST, lw=0, label="all starts")
        axes.fill_between(steps, table["quarter"], table["three quarters"], color=ADVANCED, alpha=0.5, lw=0, label="middle half")
        axes.plot(steps, table["half"], color=ADVANCED, lw=1.6, label="half of the starts are below")
        axes.set(xscale="log", yscale="log", xlabel="steps", ylabel="mean squared error")
        _tidy(axes)
        figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=9.5)
        caption(figure, "Least squares reaches zero at once: the five rows lie on a line.")
        end = table.iloc[-1]
        return Chart(figure, f"Loss of {len(training.table)} starts over {training.steps:,} steps of Adam. Half of them end at or below {end['half']:,.4g}, "
                             f"the best at {end['least']:,.4g}, the worst at {end['most']:,.4g}; least squares has zero.")  # fmt: skip


def loss_table(training: Training) -> pd.DataFrame:
    """Quantiles of the loss over the starts, one row for each recorded step."""
    losses = training.losses.set_index("step")
    table = losses.quantile([0, 0.25, 0.5, 0.75, 1], axis=1).T
    table.columns = ["least", "quarter", "half", "three quarters", "most"]
    return table.reset_index()


def _tidy(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_ylim(bottom=0.001)
    for axis in (axes.xaxis, axes.yaxis):  # as plain numbers: the theme reads no mathematics, since names may hold a dollar sign
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.spines[["top", "right"]].set_visible(False)
    axes.axhline(20_000, color=OPEN, lw=1, ls="--")
    axes.annotate(
        "variance of R: what the mean alone reaches",
        (1, 20_000),
        xytext=(0, 4),
        textcoords="offset points",
        fontsize=8.5,
        color=OPEN,
    )
