"""How is a clean log spoilt in known numbers, so that an audit of it can be marked?

Every kind of defect picks its entities among those it can spoil and that no other kind has spoilt, so counts are exact.
"""

import numpy as np
import pandas as pd

from funnelstats.data.defects import KINDS, Edit, Scene
from funnelstats.errors import DataError, Problem


def shares(dirty: bool | float | dict[str, float]) -> dict[str, float]:
    """Parse the argument ``dirty`` into a share of entities per kind.

    Raises
    ------
    DataError
        An unknown kind, or a share outside [0, 1].

    Examples
    --------
    >>> shares({"stale": 0.02}), len(shares(True)), shares(False)
    ({'stale': 0.02}, 16, {})
    """
    share = 0.01 if dirty is True else dirty
    wanted = dict(share) if isinstance(share, dict) else ({kind: float(share) for kind in KINDS} if share else {})
    problems = [Problem("dirty", f"expected one of {sorted(KINDS)}, found {kind!r}") for kind in wanted if kind not in KINDS]
    problems += [
        Problem(f"dirty[{kind!r}]", f"expected a share between 0 and 1, found {one}")
        for kind, one in wanted.items() if not 0 <= one <= 1
    ]  # fmt: skip
    if problems:
        raise DataError("the simulated CRM", problems)
    return wanted


def inject(
    events: pd.DataFrame, *, share: dict[str, float], seed: int, stages: tuple[str, ...], owners: tuple[str, ...],
    as_of: pd.Timestamp,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Spoil a clean log.

    Parameters
    ----------
    events : DataFrame
        Clean rows by entity and time, as simulated.
    share : dict of str to float
        Kind -> share of the entities to spoil; fewer when fewer can be spoilt that way.
    seed : int
        Of the world; the defects have a stream of their own.
    stages, owners : tuple of str
        Names.
    as_of : Timestamp
        End of observation.

    Returns
    -------
    events : DataFrame
        Spoilt rows, with ``deleted`` (bool) and ``merged_into`` (id or missing).
    defects : DataFrame
        Columns ``entity, defect``; for records made twice, the new one.
    """
    scene = _scene(events, seed=seed, stages=stages, owners=owners, as_of=as_of)
    ids = events["entity"].array.take(scene.first)
    free, edits, defects, made = scene.everyone, [], [], 0
    for kind, (able, spoil) in KINDS.items():
        pool = np.flatnonzero(able(scene) & free) if kind in share else np.array([], dtype="int64")
        who = np.sort(pool[np.argsort(scene.rng.random(len(pool)), kind="stable")][: round(share.get(kind, 0) * len(free))])
        free[who] = False
        edit, names = spoil(scene, who), ids.take(who)
        if edit.copies is not None:
            names, made = _new_ids(len(ids) + made, len(who), width=len(ids[0]) - 1), made + len(who)
            edit = Edit(add=tuple(extra.assign(entity=names.take(edit.copies)) for extra in edit.add))
        edits.append(edit)
        defects.append(pd.DataFrame({"entity": names, "defect": pd.array([kind] * len(who), dtype="str")}))
    return _apply(events, edits), pd.concat(defects, ignore_index=True)


def _scene(
    events: pd.DataFrame, *, seed: int, stages: tuple[str, ...], owners: tuple[str, ...], as_of: pd.Timestamp
) -> Scene:  # fmt: skip
    entity = pd.factorize(events["entity"])[0]
    first = np.flatnonzero(np.diff(entity, prepend=-1))
    last = np.append(first[1:], len(entity)) - 1
    lost = ~events["stage"].isin(stages).to_numpy()[last]
    at, end = events["at"].to_numpy().astype("datetime64[s]").astype("int64"), int(as_of.timestamp())
    return Scene(
        events=events, at=at, first=first, last=last, furthest=last - first - lost, lost=lost,
        until=np.where(lost, at[last], end), middle=min(len(stages) // 2, len(stages) - 2), stages=stages,
        owners=owners, as_of=end, rng=np.random.default_rng([seed, 1]),
    )  # fmt: skip


def _new_ids(used: int, n: int, *, width: int) -> pd.api.extensions.ExtensionArray:
    """Ids that go on after the last one given."""
    return ("L" + pd.Series(np.arange(n) + used + 1).astype("str").str.zfill(width)).array


def _apply(events: pd.DataFrame, edits: list[Edit]) -> pd.DataFrame:
    """Apply all edits at once: they concern different entities."""
    columns = {name: events[name].array.copy() for name in events}
    keep = np.ones(len(events), dtype=bool)
    for edit in edits:
        keep[edit.drop] = False
        for name, (row, value) in edit.put.items():
            columns[name][row] = value
    parts = [pd.DataFrame(columns)[keep], *(extra for edit in edits for extra in edit.add)]
    blank = {"deleted": False, "merged_into": None}
    marked = [part if "deleted" in part else part.assign(**blank).astype({"merged_into": "str"}) for part in parts]
    out = pd.concat(marked, ignore_index=True)
    code = out["entity"].str.slice(1).astype("int64").to_numpy()
    return out.take(np.lexsort((out["at"].to_numpy(), code))).reset_index(drop=True)
