"""How would a house-made export or a table of counts have written this world down?"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from funnelstats.data.simulate import SimulatedCrm

_NAMES = {"entity": "deal_ref", "stage": "step", "at": "changed_on", "owner": "rep", "channel": "source", "region": "territory",
          "amount": "value"}  # fmt: skip


def write_log(crm: SimulatedCrm, path: str | Path) -> Path:
    """Write an event log as a German office suite would: semicolons, decimal commas, column names of its own.

    Parameters
    ----------
    crm : SimulatedCrm
        Any world.
    path : path
        The CSV file; columns ``deal_ref, step, changed_on, rep, source, territory, value``, one row per stage entry. The
        currency is not written: a mapping must say it.

    Returns
    -------
    Path
    """
    frame = crm.events[list(_NAMES)].rename(columns=_NAMES)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, lineterminator="\n", sep=";", decimal=",", date_format="%d.%m.%Y %H:%M:%S")
    return Path(path)


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
