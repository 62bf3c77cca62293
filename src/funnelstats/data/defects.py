"""What can go wrong with a record in a CRM, and what would it look like in the event log?

Each kind of defect is a pair: which entities can have it, and the :class:`Edit` that gives it to them. Changes of stage,
owner and amount happen where CRMs keep a history: from the middle stage on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

DAY = 86_400  # seconds
#: Days before ``as_of`` after which an entity that nobody closed is stale.
STALE_DAYS = 180
#: Days before ``as_of`` at which somebody brought six weeks of records up to date in one second.
BULK_DAYS = 30


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Scene:
    """A clean log summed up per entity, and the random numbers of the defects. Times are seconds since the epoch.

    Parameters
    ----------
    events : DataFrame
        Rows by entity and time.
    at : ndarray of int, shape (rows,)
        Time of each row.
    first, last : ndarray of int, shape (entities,)
        Position of each entity's first and last row.
    furthest : ndarray of int, shape (entities,)
        Index of the last stage seen.
    lost : ndarray of bool, shape (entities,)
        Whether the loss was seen.
    until : ndarray of int, shape (entities,)
        When the entity was lost; ``as_of`` when it was not.
    middle : int
        Index of the stage from which on a history is kept.
    stages, owners : tuple of str
        Names.
    as_of : int
        End of observation.
    rng : Generator
        Of the defects only.
    """

    events: pd.DataFrame
    at: np.ndarray
    first: np.ndarray
    last: np.ndarray
    furthest: np.ndarray
    lost: np.ndarray
    until: np.ndarray
    middle: int
    stages: tuple[str, ...]
    owners: tuple[str, ...]
    as_of: int
    rng: np.random.Generator

    @property
    def everyone(self) -> np.ndarray:
        """Return all entities."""
        return np.ones(len(self.first), dtype=bool)

    @property
    def deals(self) -> np.ndarray:
        """Entities that reached the middle stage."""
        return np.asarray(self.furthest >= self.middle)

    @property
    def present(self) -> np.ndarray:
        """Row of each entity's last stage."""
        return np.asarray(self.first + self.furthest)

    @property
    def stay(self) -> np.ndarray:
        """Seconds from entering the last stage to the loss or the end of observation."""
        return np.asarray(self.until - self.at[self.present])

    def between(self, since: np.ndarray, until: np.ndarray | int) -> np.ndarray:
        """Draw a second after ``since``, no later than ``until``."""
        gap = np.maximum(until - since, 1)
        return np.asarray(since + np.ceil(self.rng.random(len(since)) * gap).astype("int64"))

    def days(self, least: int, most: int, n: int) -> np.ndarray:
        """Draw whole days, in seconds."""
        return np.asarray(DAY * (least + ((most - least) * self.rng.random(n)).astype("int64")))

    def rows(self, who: np.ndarray, *, since: int = 0, before: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """List rows number ``since`` to ``before`` of each of these entities, and whose each row is, as a position in ``who``."""
        stop = self.last[who] + 1 if before is None else np.minimum(self.last[who] + 1, self.first[who] + before)
        start = self.first[who] + since
        length = np.maximum(stop - start, 0)
        whose = np.repeat(np.arange(len(who)), length)
        return np.arange(len(whose)) + (start - np.cumsum(length) + length)[whose], whose


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Edit:
    """What to do to the log.

    Parameters
    ----------
    drop : ndarray of int
        Rows to take out.
    put : dict of str to (ndarray of int, array)
        Column -> rows and their new values.
    add : tuple of DataFrame
        Rows to add.
    copies : ndarray of int or None
        For rows added under new ids: which of the new entities each of them belongs to.
    """

    drop: np.ndarray = field(default_factory=lambda: np.array([], dtype="int64"))
    put: dict[str, tuple[np.ndarray, object]] = field(default_factory=dict)
    add: tuple[pd.DataFrame, ...] = ()
    copies: np.ndarray | None = None


def stamps(seconds: np.ndarray) -> np.ndarray:
    """Turn seconds since the epoch into timestamps."""
    return seconds.astype("datetime64[s]").astype("datetime64[us]")


def _again(s: Scene, row: np.ndarray, at: np.ndarray) -> pd.DataFrame:
    return s.events.iloc[row].assign(at=stamps(at))


def _repeated(s: Scene, who: np.ndarray) -> Edit:
    """Save the last stage a second time."""
    return Edit(add=(_again(s, s.present[who], s.between(s.at[s.present[who]], s.until[who] - 1)),))


def _skipped(s: Scene, who: np.ndarray) -> Edit:
    """Leave out the row of an inner stage that was passed."""
    return Edit(drop=s.first[who] + 1 + (s.rng.random(len(who)) * (s.furthest[who] - 1)).astype("int64"))


def _backward(s: Scene, who: np.ndarray) -> Edit:
    """Move back one stage and forward again."""
    row = s.present[who]
    back = s.between(s.at[row], (s.at[row] + s.until[who]) // 2)
    there = s.events["stage"].array.take(row - 1)
    return Edit(add=(_again(s, row, back).assign(stage=there), _again(s, row, s.between(back, s.until[who] - 1))))


def _reopened(s: Scene, who: np.ndarray) -> Edit:
    """Take a lost deal up again in the same stage, and lose it again."""
    again = s.between(s.until[who], (s.until[who] + s.as_of) // 2)
    return Edit(add=(_again(s, s.present[who], again), _again(s, s.last[who], s.between(again, s.as_of - 1))))


def _future(s: Scene, who: np.ndarray) -> Edit:
    """Date the last change one to thirteen months after the end of observation."""
    return Edit(put={"at": (s.last[who], stamps(s.as_of + s.days(30, 400, len(who))))})


def _won_early(s: Scene, who: np.ndarray) -> Edit:
    """Date the success one to thirty days before the first stage."""
    return Edit(put={"at": (s.last[who], stamps(s.at[s.first[who]] - s.days(1, 31, len(who))))})


def _owner_change(s: Scene, who: np.ndarray) -> Edit:
    """Give the deal to another consultant at the middle stage."""
    row, whose = s.rows(who, since=max(s.middle, 1))
    old = pd.Index(s.owners).get_indexer(s.events["owner"].array.take(s.first[who]))
    new = (old + 1 + (s.rng.random(len(who)) * (len(s.owners) - 1)).astype("int64")) % len(s.owners)
    return Edit(put={"owner": (row, pd.array(s.owners, dtype="str").take(new[whose]))})


def _amount_change(s: Scene, who: np.ndarray) -> Edit:
    """Lower the amount by 10 to 40 % from the second deal stage on."""
    row, whose = s.rows(who, since=s.middle + 1)
    left = 0.6 + 0.3 * s.rng.random(len(who))
    return Edit(put={"amount": (row, np.round(s.events["amount"].to_numpy()[row] * left[whose], 2))})


def _negative(s: Scene, who: np.ndarray) -> Edit:
    """Turn the sign of the amount on every row."""
    row, _ = s.rows(who)
    return Edit(put={"amount": (row, -s.events["amount"].to_numpy()[row])})


def _bulk(s: Scene, who: np.ndarray) -> Edit:
    """Bring the last six weeks' records up to date in the same second."""
    return Edit(put={"at": (s.last[who], stamps(np.full(len(who), s.as_of - DAY * BULK_DAYS - 1)))})


def _bulk_able(s: Scene) -> np.ndarray:
    moment = s.as_of - DAY * BULK_DAYS
    return np.asarray((s.last > s.first) & (s.at[s.last] < moment - 1) & (s.at[s.last] > moment - 42 * DAY))


def _second(s: Scene, who: np.ndarray, *, before: int | None = None, deleted: bool = False, merged: bool = False) -> Edit:
    """Make a second record of the first ``before`` rows."""
    row, whose = s.rows(who, before=before)
    extra = s.events.iloc[row]
    extra = extra.assign(deleted=deleted, merged_into=extra["entity"].where(pd.Series(merged, index=extra.index)))
    return Edit(add=(extra,), copies=whose)


#: Kind of defect -> (which entities can have it, the edit). Those with the fewest candidates come first, and so pick first.
KINDS: dict[str, tuple[Callable[[Scene], np.ndarray], Callable[[Scene, np.ndarray], Edit]]] = {
    "reopened": (lambda s: s.lost & s.deals & (s.until < s.as_of - 4), _reopened),
    "backward_move": (lambda s: (s.furthest > s.middle) & (s.furthest < len(s.stages) - 1) & (s.stay > 8), _backward),
    "won_before_created": (lambda s: s.furthest == len(s.stages) - 1, _won_early),
    "bulk_edit": (_bulk_able, _bulk),
    "amount_change": (lambda s: s.last - s.first > s.middle, _amount_change),
    "without_lead": (lambda s: s.deals & (s.middle > 0), lambda s, who: Edit(drop=s.rows(who, before=s.middle)[0])),
    "owner_change": (lambda s: s.deals & (s.last - s.first >= max(s.middle, 1)) & (len(s.owners) > 1), _owner_change),
    "negative_amount": (lambda s: s.deals, _negative),
    "repeated_stage": (lambda s: s.deals & (s.stay > 2), _repeated),
    "skipped_stage": (lambda s: s.furthest >= 2, _skipped),
    "stale": (lambda s: s.lost & (s.at[s.present] < s.as_of - DAY * STALE_DAYS), lambda s, who: Edit(drop=s.last[who])),
    "future_date": (lambda s: s.last > s.first, _future),
    "missing_channel": (lambda s: s.everyone, lambda s, who: Edit(put={"channel": (s.rows(who)[0], None)})),
    "duplicate": (lambda s: s.everyone, _second),
    "merged": (lambda s: s.everyone, lambda s, who: _second(s, who, before=min(max(s.middle, 1), 2), deleted=True, merged=True)),
    "deleted": (lambda s: s.everyone, lambda s, who: _second(s, who, before=1, deleted=True)),
}
