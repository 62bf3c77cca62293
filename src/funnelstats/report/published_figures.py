"""How far is each computed number from the printed one, measured by what the printed digits allow? One dot for each."""

import pandas as pd

from funnelstats.report.figures import Chart, caption, new_figure
from funnelstats.report.theme import INK, LINES, OPEN, styled


def plot_published(table: pd.DataFrame) -> Chart:
    """Draw differences from printed numbers in units of their tolerance, topic by topic.

    Parameters
    ----------
    table : DataFrame
        Rows of :func:`~funnelstats.report.published.published_table`, of several topics one below the other. It is also the
        table twin.

    Returns
    -------
    Chart

    Examples
    --------
    >>> from funnelstats.report.published import published_table
    >>> plot_published(published_table("rats", {"mean of alpha": 2.4027, "mean of beta": 14.320})).alt[:42]
    'Differences of 2 computed numbers from the'
    """
    exact = table["tolerance"] == 0
    units = (table["difference"] / table["tolerance"].where(~exact)).fillna(0.0)
    topics = table["topic"].drop_duplicates().tolist()
    with styled():
        figure = new_figure(height=1.3 + 0.3 * len(topics))
        axes = figure.add_subplot()
        axes.axvspan(-1, 1, color=OPEN, alpha=0.12, lw=0)
        axes.axvline(0, color=INK, lw=0.8)
        for (colour, _, _), marker, kind in zip(LINES, "os", ("paper", "peer"), strict=False):
            rows = table["kind"] == kind
            height = [topics.index(topic) for topic in table.loc[rows, "topic"]]
            axes.scatter(units[rows], height, s=26, marker=marker, facecolor="white", edgecolor=colour, zorder=3, label=kind)
        axes.set_yticks(range(len(topics)), topics)
        axes.invert_yaxis()
        reach = max(1.3, 1.1 * float(units.abs().max()))
        axes.set(xlabel="difference from the printed number, in tolerances", xlim=(-reach, reach))
        axes.spines[["top", "right", "left"]].set_visible(False)
        figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9.5)
        inside = int(table["within"].sum())
        caption(figure, f"{inside} of {len(table)} lie in the band that the printed digits allow.")
        worst = table.iloc[int(units.abs().argmax())]
        alt = (f"Differences of {len(table)} computed numbers from the printed ones, in tolerances, by topic; {inside} within. "
               f"Largest: {worst['topic']}, {worst['quantity']}, {units.abs().max():.2f} tolerances.")  # fmt: skip
        return Chart(figure, alt)
