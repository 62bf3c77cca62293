"""How would Salesforce or HubSpot have written this world down?

Column names are those of the connectors' tables (Salesforce) and of the deals export (HubSpot); stage values are the vendors'
defaults. Both writers tell the same story as ``crm.events``: a reader that ends in the five stages of the source article
finds the same entries at the same moments (HubSpot cuts them to the minute).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.simulate import SimulatedCrm
from funnelstats.errors import DataError, Problem

#: Default opportunity stages of Salesforce and their default probabilities in percent.
PROBABILITY = {
    "Prospecting": 10, "Qualification": 10, "Needs Analysis": 20, "Value Proposition": 50, "Id. Decision Makers": 60,
    "Proposal/Price Quote": 75, "Negotiation/Review": 90, "Closed Won": 100, "Closed Lost": 0,
}  # fmt: skip
_INNER = {"Sales Lead": ("Prospecting", "Qualification"), "Opportunity": tuple(PROBABILITY)[2:7]}
_END = "9999-12-31 23:59:59"
#: Days after which a deal is expected to close when nobody knows.
_EXPECTED_DAYS = 90


def write_salesforce(crm: SimulatedCrm, folder: str | Path) -> list[Path]:
    """Write ``Lead.csv`` and ``OpportunityHistory.csv``.

    Parameters
    ----------
    crm : SimulatedCrm
        A world of five stages.
    folder : path
        Made when it does not exist.

    Returns
    -------
    list of Path
        The two files. Stage 1 is ``Lead.created_date``, stage 2 ``Lead.pi_first_activity_c``, stage 3 the opportunity stages
        Prospecting and Qualification, stage 4 Needs Analysis to Negotiation/Review, stage 5 Closed Won. Lost is Closed Lost, or
        the lead status "Closed - Not Converted" dated ``last_modified_date``. The region is the lead's ``country``.

    Raises
    ------
    DataError
        A world that does not have five stages.
    """
    events = _numbered(crm)
    if len(crm.stages) != 5:
        raise DataError("the Salesforce export", [Problem("stages", f"expected five, found {list(crm.stages)}")])
    deals = events[(events["k"] >= 2) & (events["k"] < 5) | (events["k"] == 5) & events["reached"].ge(2)]
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = [Path(folder) / "Lead.csv", Path(folder) / "OpportunityHistory.csv"]
    _write(_leads(events, deals), paths[0])
    _write(_history(crm, deals, rng=np.random.default_rng([crm.seed, 2])), paths[1])
    return paths


def _leads(events: pd.DataFrame, deals: pd.DataFrame) -> pd.DataFrame:
    start = events[events["k"] == 0].drop_duplicates("entity").set_index("entity")
    touch = events[events["k"] == 1].groupby("entity")["at"].min()
    opened = deals.sort_values(["entity", "k"], kind="stable").groupby("entity", sort=False)["at"].first()
    early = (events["k"] < 2) | (events["k"] == 5) & ~events["entity"].isin(opened.index)
    last = events[early].groupby("entity", sort=False).last()
    converted = start.index.isin(opened.index)
    lost = (last["k"].reindex(start.index) == 5).to_numpy()
    touched = start.index.isin(touch.index)
    changed = opened.reindex(start.index).where(converted, last["at"].reindex(start.index))
    names = ["Closed - Converted", "Closed - Not Converted", "Working - Contacted"]
    status = np.select([converted, lost, touched], names, "Open - Not Contacted")
    return pd.DataFrame({
        "id": "00Q" + start.index, "owner_id": start["owner"], "lead_source": start["channel"], "status": status,
        "created_date": start["at"], "pi_first_activity_c": touch.reindex(start.index), "last_modified_date": changed,
        "is_converted": converted, "converted_date": opened.reindex(start.index).dt.strftime("%Y-%m-%d"),
        "converted_opportunity_id": ("006" + start.index.to_series()).where(converted),
        "country": start["region"], "is_deleted": start["deleted"], "master_record_id": "00Q" + start["merged_into"],
    })  # fmt: skip


def _history(crm: SimulatedCrm, deals: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    rows = _inner_stages(crm, deals, rng=rng)
    first = rows["at"].where(rows["k"] < 4, rows["at"].max()).groupby(rows["entity"]).transform("min")
    ended = rows["at"].where(rows["k"] >= 4).groupby(rows["entity"]).transform("max")
    following = rows.groupby("entity")["at"].shift(-1)
    name = rows["stage_name"]
    return pd.DataFrame({
        "id": "006" + rows["entity"], "name": "Deal " + rows["entity"].str.slice(1), "stage_name": name,
        "_fivetran_start": rows["at"],
        "_fivetran_end": following.dt.strftime("%Y-%m-%d %H:%M:%S").fillna(_END), "_fivetran_active": following.isna(),
        "created_date": first, "close_date": ended.fillna(first + pd.Timedelta(days=_EXPECTED_DAYS)).dt.strftime("%Y-%m-%d"),
        "amount": rows["amount"], "currency_iso_code": rows["currency"], "probability": name.map(PROBABILITY),
        "is_closed": rows["k"] >= 4, "is_won": rows["k"] == 4,
        "is_deleted": rows["deleted"], "owner_id": rows["owner"], "lead_source": rows["channel"],
    })  # fmt: skip


def _inner_stages(crm: SimulatedCrm, deals: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """Spell stages 3 and 4 as Salesforce's finer ones, with more of them the longer and the better the deal went."""
    deals = deals.reset_index(drop=True)
    same = deals["entity"].eq(deals["entity"].shift(-1))
    until = deals["at"].shift(-1).where(same, crm.as_of)
    onward = deals["k"].shift(-1).where(same, -1)
    over = deals["k"].eq(4).groupby(deals["entity"]).transform("any") & ~same  # won, so nothing goes on after the last row
    gap = (until - deals["at"]).dt.total_seconds().mask(over, 0).to_numpy()
    parts = [deals.assign(stage_name=deals["k"].map({2: "Prospecting", 3: "Needs Analysis", 4: "Closed Won", 5: "Closed Lost"}))]
    for k, inner in ((2, _INNER["Sales Lead"][1:]), (3, _INNER["Opportunity"][1:])):
        fraction = np.sort(rng.random((len(deals), len(inner))), axis=1)
        furthest = np.where(onward == k + 1, len(inner), (rng.random(len(deals)) * (len(inner) + 1)).astype("int64"))
        for place, name in enumerate(inner):
            able = (deals["k"] == k) & (onward != k) & (gap > 60) & (place < furthest)
            later = deals["at"] + pd.to_timedelta(np.floor(1 + fraction[:, place] * np.maximum(gap - 2, 0)), unit="s")
            parts.append(deals[able].assign(at=later[able], stage_name=name))
    order = pd.concat(parts, ignore_index=True)
    rank = order["stage_name"].map({name: place for place, name in enumerate(PROBABILITY)})
    return order.assign(rank=rank).sort_values(["entity", "at", "rank"], kind="stable", ignore_index=True)


def write_hubspot(crm: SimulatedCrm, path: str | Path) -> Path:
    """Write the deals export of HubSpot: one row per deal, one "Date entered" and "Date exited" column per stage.

    Parameters
    ----------
    crm : SimulatedCrm
        Any number of stages; the last one is called "Closed Won" and the loss "Closed Lost". Deleted and merged records are not
        exported, and of a stage entered twice only the first date is: such defects cannot be seen in this export.
    path : path
        The CSV file.

    Returns
    -------
    Path
        The file; times to the minute.
    """
    events = _numbered(crm)
    events = events[~events["deleted"]]
    labels = [*crm.stages[:-1], "Closed Won", "Closed Lost"]
    following = events.groupby("entity")["at"].shift(-1)
    by_entity = events.assign(exited=following).groupby(["entity", "k"])
    entered, exited = (by_entity[name].agg(how).unstack("k") for name, how in (("at", "min"), ("exited", "last")))
    won = events["k"].eq(len(crm.stages) - 1)  # a deal that is won stays won, whatever its dates say
    last = events.assign(won=won).sort_values(["entity", "won", "at"], kind="stable").groupby("entity").last()
    first = events.sort_values(["entity", "k"], kind="stable").groupby("entity")["at"].first()
    ended = last["at"].where(last["k"] >= len(crm.stages) - 1)
    deal = pd.DataFrame({
        "Record ID": "9" + last.index.str.slice(1), "Deal Name": "Deal " + last.index.str.slice(1),
        "Deal Stage": pd.array(labels, dtype="str").take(last["k"].to_numpy()), "Pipeline": "Sales Pipeline",
        "Deal owner": last["owner"], "Original Source": last["channel"], "Region": last["region"],
        "Amount": last["amount"], "Currency": last["currency"],
        "Create Date": _minute(first), "Close Date": _minute(ended.fillna(first + pd.Timedelta(days=_EXPECTED_DAYS))),
    })  # fmt: skip
    for word, dates in (("entered", entered), ("exited", exited)):
        for k, label in enumerate(labels):
            empty = pd.Series(pd.NaT, index=deal.index, dtype="datetime64[us]")
            deal[f'Date {word} "{label} (Sales Pipeline)"'] = _minute(dates[k].reindex(deal.index) if k in dates else empty)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    _write(deal, Path(path))
    return Path(path)


def _numbered(crm: SimulatedCrm) -> pd.DataFrame:
    """Events with the stage's index ``k`` (the loss comes last), the furthest stage reached, and the marks of dirt."""
    events = crm.events.assign(k=crm.events["stage"].map({name: k for k, name in enumerate((*crm.stages, crm.lost))}))
    reached = events["k"].where(events["k"] < len(crm.stages)).groupby(events["entity"]).transform("max")
    if "deleted" in events:
        return events.assign(reached=reached)
    return events.assign(reached=reached, deleted=False, merged_into=pd.Series(None, index=events.index, dtype="str"))


def _minute(times: Any) -> Any:
    return times.dt.strftime("%Y-%m-%d %H:%M")


def _write(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, lineterminator="\n", date_format="%Y-%m-%d %H:%M:%S")
