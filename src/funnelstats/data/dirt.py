"""What goes wrong in a CRM, injected in known numbers so that an audit can be marked.

Every kind picks its entities among those it can spoil and that no other kind has spoilt, so counts of defects are exact.
Changes of stage, owner and amount happen where CRMs keep a history: from the middle stage on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from funnelstats.errors import DataError, Problem

DAY = 86_400  # seconds
#: Days before ``as_of`` after which an entity that nobody closed is stale.
STALE_DAYS = 180
#: Days before ``as_of`` at which somebody brought six weeks of records up to date in one second.
BULK_DAYS = 30


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Scene:
    """A clean log, summed up per entity, and the random numbers of the defects. Times are seconds since the epoch."""

    events: pd.DataFrame
    first: np.ndarray  # row of each entity's first event
    last: np.ndarray  # row of its last event
    furthest: np.ndarray  # index of the last stage it reached
    lost: np.ndarray  # whether it was seen lost
    at: np.ndarray  # time of each row
    until: np.ndarray  # when each entity left its last stage, or as_of
    middle: int
    stages: tuple[str, ...]
    owners: tuple[str, ...]
    as_of: int
    rng: np.random.Generator

    @property
    def deal(self) -> np.ndarray:
        """Row of each entity's last stage."""
        return self.first + self.furthest

    def whole(self) -> np.ndarray:
        """Every entity."""
        return np.ones(len(self.first), dtype=bool)

    def deals(self) -> np.ndarray:
        """Entities that reached the middle stage."""
        return self.furthest >= self.middle

    def between(self, since: np.ndarray, until: np.ndarray | int) -> np.ndarray:
        """A random second after ``since``, no later than ``until``."""
        return since + np.ceil(self.rng.random(len(since)) * np.maximum(until - since, 1)).astype("int64")

    def days(self, least: int, most: int, n: int) -> np.ndarray:
        """Random whole days, in seconds."""
        return DAY * (least + ((most - least) * self.rng.random(n)).astype("int64"))

    def rows(self, who: np.ndarray, *, since: int = 0, before: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Rows of these entities from their event number ``since`` on, and for each row the position in ``who``."""
        stop = self.last[who] + 1 if before is None else np.minimum(self.last[who], self.first[who] + before - 1) + 1
        lengths = np.maximum(stop - self.first[who] - since, 0)
        owner = np.repeat(np.arange(len(who)), lengths)
        return np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + self.first[who][owner] + since, owner

    def copies(self, who: np.ndarray, *, before: int | None = None, mark: str = "") -> "Edit":
        """A second record of each entity: marks are "deleted" and "merged"."""
        row, owner = self.rows(who, before=before)
        extra = self.events.iloc[row].assign(copy=owner, deleted=mark != "")
        return Edit(add=[extra.assign(merged_into=extra["entity"] if mark == "merged" else pd.Series(None, index=extra.index, dtype="str"))])


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Edit:
    """Rows to take out, values to overwrite (column -> rows, values), and rows to add."""

    drop: np.ndarray = field(default_factory=lambda: np.array([], dtype="int64"))
    set: dict[str, tuple[np.ndarray, object]] = field(default_factory=dict)
    add: list[pd.DataFrame] = field(default_factory=list)


def _again(s: Scene, row: np.ndarray, at: np.ndarray) -> pd.DataFrame:
    return s.events.iloc[row].assign(at=_stamp(at))


def _repeated(s: Scene, who: np.ndarray) -> Edit:
    """The last stage is saved a second time."""
    return Edit(add=[_again(s, s.deal[who], s.between(s.at[s.deal[who]], s.until[who] - 1))])


def _skipped(s: Scene, who: np.ndarray) -> Edit:
    """An inner stage that was passed has no row."""
    return Edit(drop=s.first[who] + 1 + (s.rng.random(len(who)) * (s.furthest[who] - 1)).astype("int64"))


def _backward(s: Scene, who: np.ndarray) -> Edit:
    """Moved back one stage and forward again."""
    row = s.deal[who]
    back = s.between(s.at[row], (s.at[row] + s.until[who]) // 2)
    there = s.events["stage"].array.take(row - 1)
    return Edit(add=[_again(s, row, back).assign(stage=there), _again(s, row, s.between(back, s.until[who] - 1))])


def _reopened(s: Scene, who: np.ndarray) -> Edit:
    """Lost, taken up again in the same stage, lost again."""
    again = s.between(s.until[who], (s.until[who] + s.as_of) // 2)
    return Edit(add=[_again(s, s.deal[who], again), _again(s, s.last[who], s.between(again, s.as_of - 1))])


def _future(s: Scene, who: np.ndarray) -> Edit:
    """The last change is dated one to thirteen months after the end of observation."""
    return Edit(set={"at": (s.last[who], _stamp(s.as_of + s.days(30, 400, len(who))))})


def _won_early(s: Scene, who: np.ndarray) -> Edit:
    """Won one to thirty days before the entity was created."""
    return Edit(set={"at": (s.last[who], _stamp(s.at[s.first[who]] - s.days(1, 31, len(who))))})


def _owner_change(s: Scene, who: np.ndarray) -> Edit:
    """Another consultant takes over at the middle stage."""
    row, position = s.rows(who, since=max(s.middle, 1))
    names = pd.array(s.owners, dtype="str")
    old = pd.Index(s.owners).get_indexer(s.events["owner"].array.take(s.first[who]))
    new = (old + 1 + (s.rng.random(len(who)) * (len(s.owners) - 1)).astype("int64")) % len(s.owners)
    return Edit(set={"owner": (row, names.take(new[position]))})


def _amount_change(s: Scene, who: np.ndarray) -> Edit:
    """The amount is 10 to 40 % lower from the second deal stage on."""
    row, position = s.rows(who, since=s.middle + 1)
    cut = 0.6 + 0.3 * s.rng.random(len(who))
    return Edit(set={"amount": (row, np.round(s.events["amount"].to_numpy()[row] * cut[position], 2))})


def _negative(s: Scene, who: np.ndarray) -> Edit:
    """The amount has the wrong sign on every row."""
    row, _ = s.rows(who)
    return Edit(set={"amount": (row, -s.events["amount"].to_numpy()[row])})


def _no_channel(s: Scene, who: np.ndarray) -> Edit:
    """Nobody noted where the lead came from."""
    return Edit(set={"channel": (s.rows(who)[0], None)})


def _bulk(s: Scene, who: np.ndarray) -> Edit:
    """Records of six weeks were brought up to date in the same second."""
    return Edit(set={"at": (s.last[who], _stamp(np.full(len(who), s.as_of - DAY * BULK_DAYS - 1)))})


def _bulk_eligible(s: Scene) -> np.ndarray:
    moment = s.as_of - DAY * BULK_DAYS
    return (s.last > s.first) & (s.at[s.last] < moment) & (s.at[s.last] > moment - 42 * DAY)


#: Kind of defect -> (which entities can have it, what happens to them). Those with the fewest candidates pick first.
KINDS: dict[str, tuple[Callable[[Scene], np.ndarray], Callable[[Scene, np.ndarray], Edit]]] = {
    "reopened": (lambda s: s.lost & s.deals() & (s.until < s.as_of - 4), _reopened),
    "backward_move": (lambda s: (s.furthest > s.middle) & (s.furthest < len(s.stages) - 1) & (s.until - s.at[s.deal] > 8), _backward),
    "won_before_created": (lambda s: s.furthest == len(s.stages) - 1, _won_early),
    "bulk_edit": (_bulk_eligible, _bulk),
    "amount_change": (lambda s: s.last - s.first > s.middle, _amount_change),
    "without_lead": (lambda s: s.deals() & (s.middle > 0), lambda s, who: Edit(drop=s.rows(who, before=s.middle)[0])),
    "owner_change": (lambda s: s.deals() & (s.last > s.first) & (len(s.owners) > 1), _owner_change),
    "negative_amount": (Scene.deals, _negative),
    "repeated_stage": (lambda s: s.deals() & (s.until - s.at[s.deal] > 2), _repeated),
    "skipped_stage": (lambda s: s.furthest >= 2, _skipped),
    "stale": (lambda s: s.lost & (s.at[s.deal] < s.as_of - DAY * STALE_DAYS), lambda s, who: Edit(drop=s.last[who])),
    "future_date": (lambda s: s.last > s.first, _future),
    "missing_channel": (Scene.whole, _no_channel),
    "duplicate": (Scene.whole, lambda s, who: s.copies(who)),
    "merged": (Scene.whole, lambda s, who: s.copies(who, before=min(max(s.middle, 1), 2), mark="merged")),
    "deleted": (Scene.whole, lambda s, who: s.copies(who, before=1, mark="deleted")),
}


def shares(dirty: bool | float | dict[str, float]) -> dict[str, float]:
    """Parse the argument ``dirty`` into a share of entities per kind, refusing unknown kinds and shares."""
    share = 0.01 if dirty is True else dirty
    wanted = dict(share) if isinstance(share, dict) else ({kind: float(share) for kind in KINDS} if share else {})
    problems = [Problem("dirty", f"expected one of {sorted(KINDS)}, found {kind!r}") for kind in wanted if kind not in KINDS]
    problems += [Problem(f"dirty[{kind!r}]", f"expected a share between 0 and 1, found {one}") for kind, one in wanted.items() if not 0 <= one <= 1]
    if problems:
        raise DataError("the simulated CRM", problems)
    return wanted


def inject(
    events: pd.DataFrame, *, share: dict[str, float], seed: int, stages: tuple[str, ...], owners: tuple[str, ...], as_of: pd.Timestamp
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Spoil a clean log.

    Parameters
    ----------
    events : DataFrame
        Clean rows by entity and time, as simulated.
    share : dict of str to float
        Kind -> share of the entities to spoil; fewer when fewer can be spoilt that way.
    seed : int
        Of the defects only.
    stages, owners : tuple of str
        Names.
    as_of : Timestamp
        End of observation.

    Returns
    -------
    events, defects : DataFrame
        Spoilt rows, with ``deleted`` and ``merged_into``; and ``entity, defect``.
    """
    scene = _scene(events, seed=seed, stages=stages, owners=owners, as_of=as_of)
    entities = events["entity"].array.take(scene.first)
    free, edits, defects, copies = scene.whole(), [], [], 0
    for kind in (kind for kind in KINDS if kind in share):
        able = np.flatnonzero(KINDS[kind][0](scene) & free)
        who = np.sort(able[np.argsort(scene.rng.random(len(able)), kind="stable")][: round(share[kind] * len(free))])
        free[who] = False
        edit, names = KINDS[kind][1](scene, who), entities.take(who)
        if any("copy" in extra for extra in edit.add):
            names, copies = _new_ids(entities, copies, len(who)), copies + len(who)
            edit = Edit(add=[extra.assign(entity=names.take(extra["copy"])).drop(columns="copy") for extra in edit.add])
        edits.append(edit)
        defects.append(pd.DataFrame({"entity": names, "defect": pd.array([kind] * len(who), dtype="str")}))
    return _apply(events, edits), pd.concat(defects, ignore_index=True)


def _scene(events: pd.DataFrame, *, seed: int, stages: tuple[str, ...], owners: tuple[str, ...], as_of: pd.Timestamp) -> Scene:
    entity = pd.factorize(events["entity"])[0]
    first = np.flatnonzero(np.diff(entity, prepend=-1))
    last = np.append(first[1:], len(entity)) - 1
    lost = ~events["stage"].isin(stages).to_numpy()[last]
    at, end = events["at"].to_numpy().astype("datetime64[s]").astype("int64"), int(as_of.timestamp())
    return Scene(
        events=events, first=first, last=last, lost=lost, furthest=last - first - lost, at=at, until=np.where(lost, at[last], end),
        middle=min(len(stages) // 2, len(stages) - 2), stages=stages, owners=owners, as_of=end, rng=np.random.default_rng([seed, 1]),
    )  # fmt: skip


def _new_ids(entities: pd.api.extensions.ExtensionArray, used: int, n: int) -> pd.api.extensions.ExtensionArray:
    """Ids that go on after the last one given."""
    text = pd.Series(np.arange(n) + len(entities) + used + 1).astype("str").str.zfill(len(entities[0]) - 1)
    return ("L" + text).array


def _apply(events: pd.DataFrame, edits: list[Edit]) -> pd.DataFrame:
    columns = {name: events[name].array.copy() for name in events}
    keep = np.ones(len(events), dtype=bool)
    for edit in edits:
        keep[edit.drop] = False
        for name, (row, value) in edit.set.items():
            columns[name][row] = value
    clean = pd.DataFrame(columns)[keep]
    parts = [clean, *(extra for edit in edits for extra in edit.add)]
    marked = [part if "deleted" in part else part.assign(deleted=False, merged_into=pd.Series(None, index=part.index, dtype="str")) for part in parts]
    return pd.concat(marked, ignore_index=True).sort_values(["entity", "at"], kind="stable", ignore_index=True)


def _stamp(seconds: np.ndarray) -> np.ndarray:
    return seconds.astype("datetime64[s]").astype("datetime64[us]")
