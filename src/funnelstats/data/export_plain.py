"""How would a house-made export or a table of counts have written this world down?"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from funnelstats.data.choices import SimulatedChoices
from funnelstats.data.simulate import SimulatedCrm

_NAMES = {"entity": "deal_ref", "stage": "step", "at": "changed_on", "owner": "rep", "channel": "source", "region": "territory",
          "amount": "value"}  # fmt: skip


def write_log(
    crm: SimulatedCrm, path: str | Path, *, columns: Mapping[str, str] = _NAMES, separator: str = ";", decimal: str = ",",
    date_format: str = "%d.%m.%Y %H:%M:%S",
) -> Path:  # fmt: skip
    """Write an event log in a house's own way: by default as a German office suite would, with semicolons and decimal commas.

    Parameters
    ----------
    crm : SimulatedCrm
        Any world.
    path : path
        The CSV file, one row per stage entry. The currency is not written unless named: a mapping must say it.
    columns : mapping of str to str
        Which of ``entity, stage, at, owner, channel, region, amount`` are written, in which order, under which names.
    separator, decimal, date_format : str
        How fields are told apart, and how numbers and moments are spelt.

    Returns
    -------
    Path
    """
    frame = crm.events[list(columns)].rename(columns=dict(columns))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, lineterminator="\n", sep=separator, decimal=decimal, date_format=date_format)
    return Path(path)


def write_tables(world: SimulatedChoices, path: str | Path, *, date_format: str = "%Y-%m-%d %H:%M") -> Path:
    """Write each table of a world of choices to a file of its own, beside ``path``, which is the first one's.

    Parameters
    ----------
    world : SimulatedChoices
        The world.
    path : path
        The first table's CSV file; the others are called by their names.
    date_format : str
        How moments are spelt.

    Returns
    -------
    Path
        The first file.
    """
    files = [Path(path), *(Path(path).with_name(f"{name}.csv") for name in list(world.tables)[1:])]
    for file, table in zip(files, world.tables.values(), strict=True):
        table.to_csv(file, index=False, lineterminator="\n", date_format=date_format)
    return files[0]


def write_counts(crm: SimulatedCrm, path: str | Path, *, by: Sequence[str] = ("owner",)) -> Path:
    """Write counts only, for whoever may not pass on records: one row per segment and stage.

    Parameters
    ----------
    crm : SimulatedCrm
        A clean world.
    path : path
        The CSV file; columns ``[*by, stage, entered, advanced, lost, open]`` as seen at ``as_of``.
    by : sequence of str
        Segments.

    Returns
    -------
    Path
    """
    place = crm.events["stage"].map({stage: k for k, stage in enumerate((*crm.stages, crm.lost))}).replace(len(crm.stages), -1)
    furthest, gone = place.groupby(crm.events["entity"]).max(), place.groupby(crm.events["entity"]).min() < 0
    entity = crm.events.drop_duplicates("entity").set_index("entity")[list(by)]
    parts = []
    for k, stage in enumerate(crm.stages):
        cell = entity.assign(entered=furthest >= k, advanced=furthest > k, lost=gone & (furthest == k))
        cell["open"] = cell["entered"] & ~cell["advanced"] & ~cell["lost"] & (k < len(crm.stages) - 1)
        parts.append(cell.groupby(list(by)).sum().reset_index().assign(k=k, stage=stage))
    frame = pd.concat(parts).sort_values([*by, "k"])[[*by, "stage", "entered", "advanced", "lost", "open"]]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, lineterminator="\n")
    return Path(path)
