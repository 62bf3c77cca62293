"""The engine's counts against a loop that walks through each entity's events one by one.

The loop states the rules of ``data/reach.py`` in plain Python: it is slow, and it shares no code with the package.
"""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.crm import read_crm

STAGES = ["A", "B", "C", "Won"]
AS_OF = "2026-03-31"
MAPPING = {"stages": STAGES, "lost": ["Lost"], "entity": "id", "stage": "stage", "at": "at"}


def random_histories(seed, size=600):
    """Any stage on any day, some of them after the end of observation; half of the entities walk mostly forwards."""
    rng = np.random.default_rng(seed)
    for number in range(size):
        names = rng.choice([*STAGES, "Lost"], size=rng.integers(1, 7), p=[0.3, 0.25, 0.2, 0.15, 0.1])
        days = rng.integers(0, 100, size=len(names))
        if number % 2:
            order = {name: place for place, name in enumerate([*STAGES, "Lost"])}
            names, days = sorted(names, key=order.get), sorted(days)
        yield [(str(name), int(day)) for name, day in zip(names, days, strict=True)]


def to_frame(histories):
    rows = [(i, stage, pd.Timestamp("2026-01-01") + pd.Timedelta(days=day)) for i, h in enumerate(histories) for stage, day in h]
    return pd.DataFrame(rows, columns=["id", "stage", "at"])


def seen(history):
    """Events up to the end of 31 March (day 89 counted from 1 January), in time order."""
    return sorted(((day, stage) for stage, day in history if day <= 89), key=lambda e: e[0])


def last_day(events, names):
    days = [day for day, stage in events if stage in names]
    return max(days) if days else None


def outcome(events):
    """The last event decides; where days tie, loss beats success beats an open stage."""
    tops = [
        (last_day(events, ["A", "B", "C"]), 0, "open"),
        (last_day(events, ["Won"]), 1, "won"),
        (last_day(events, ["Lost"]), 2, "lost"),
    ]
    return max((day, rank, fate) for day, rank, fate in tops if day is not None)[2]


def furthest(events, fate):
    reached = max((STAGES.index(stage) for _, stage in events if stage in STAGES), default=0)
    return reached if reached < 3 or fate == "won" else 2


def ordered(events, fate):
    reached, day = -1, -1
    for k, name in enumerate(STAGES):
        days = [d for d, stage in events if stage == name and d >= day]
        if not days:
            break
        reached, day = k, min(days)
    return reached


def any_order(events, fate):
    names = {stage for _, stage in events}
    return next((k - 1 for k, name in enumerate(STAGES) if name not in names), 3)


def strict(events, fate):
    place = {name: k for k, name in enumerate(STAGES)}
    walk = sorted(events, key=lambda e: (e[0], place.get(e[1], 9)))
    steps = [stage for i, (_, stage) in enumerate(walk) if i == 0 or walk[i - 1][1] != stage]
    return max(
        (k for k in range(4) for end in range(len(steps)) if end - k >= 0 and steps[end - k : end + 1] == STAGES[: k + 1]),
        default=-1,
    )


def by_hand(histories, rule):
    counts = {name: Counter() for name in STAGES}
    for history in histories:
        events = seen(history)
        if not events:
            continue
        fate = outcome(events)
        reached = rule(events, fate)
        if reached < 0:
            continue
        if reached == 3 and fate != "won":
            reached = 2
        for k in range(reached + 1):
            counts[STAGES[k]]["entered"] += 1
            if k < reached:
                counts[STAGES[k]]["advanced"] += 1
            elif k < 3:
                counts[STAGES[k]]["open" if fate == "open" else "lost"] += 1
    return [[counts[name][c] for c in ("entered", "advanced", "lost", "open")] for name in STAGES]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("order", "rule"), [("furthest", furthest), ("ordered", ordered), ("any", any_order), ("strict", strict)]
)
def test_counts_equal_a_walk_through_each_history(order, rule, seed):
    possible = [history for history in random_histories(seed) if not won_before_first(history)]
    log = read_crm(to_frame(possible), mapping=MAPPING, as_of=AS_OF)
    counts = log.stages(order=order).frame
    assert counts[["entered", "advanced", "lost", "open"]].values.tolist() == by_hand(possible, rule)


def won_before_first(history):
    """Success before the first stage: the reader refuses such entities, see test_inputs_crm.py."""
    first, won = ([day for stage, day in history if stage == name] for name in ("A", "Won"))
    return bool(first and won and min(won) < min(first))


def test_ages_and_risk_sets_equal_a_day_by_day_walk():
    histories = [[("A", 0), ("B", 3), ("Won", 10)], [("A", 0), ("Lost", 3)], [("A", 80)], [("A", 5), ("C", 9)], [("A", 89)]]
    log = read_crm(to_frame(histories), mapping=MAPPING, as_of=AS_OF)
    frame = log.hazards().frame
    stays = {
        "A": [(3, "advanced"), (3, "lost"), (10, "censored"), (4, "advanced"), (1, "censored")],
        "B": [(7, "advanced")],
        "C": [(81, "censored")],
    }
    for stage, exits in stays.items():
        for row in frame[frame["stage"] == stage].itertuples():
            # an open stay of n complete days was at risk at ages 0 ... n-1
            last = [age - 1 if kind == "censored" else age for age, kind in exits]
            assert row.at_risk == sum(age >= row.age for age in last)
            for kind in ("advanced", "lost", "censored"):
                assert getattr(row, kind) == sum(age == row.age and k == kind for age, (_, k) in zip(last, exits, strict=True))
    assert set(frame["stage"]) == {"A", "B", "C"}


def test_windows_count_by_hand():
    # within 7 days: the first wins on day 6, the second on day 20, the third is 4 days old, the fourth lost
    histories = [
        [("A", 0), ("B", 2), ("C", 3), ("Won", 6)],
        [("A", 0), ("B", 2), ("C", 3), ("Won", 20)],
        [("A", 86), ("B", 87)],
        [("A", 1), ("Lost", 2)],
    ]
    log = read_crm(to_frame(histories), mapping=MAPPING, as_of=AS_OF)
    counts = log.stages(window=7)
    assert counts.frame["entered"].tolist() == [3, 2, 2, 1]
    assert counts.frame["lost"].tolist() == [1, 0, 1, 0]
    assert counts.frame["open"].sum() == 0
    assert "1 of 4" in counts.note
    step = log.stages(per_step_window=5)
    assert step.frame["entered"].tolist() == [4, 3, 2, 1]
    assert step.frame["open"].tolist() == [0, 1, 0, 0]


def test_two_looks_at_one_log_belong_together():
    log = read_crm("bundled:crm_second")
    won = log.entities.filter(log.entities.fate == "won").count().execute()
    assert won == log.stages().total().frame["entered"].iloc[-1] > 0


def test_a_count_is_kept_for_its_own_log_and_segment_and_what_is_given_out_may_be_changed():
    log = read_crm(to_frame(random_histories(9)), mapping=MAPPING, as_of=AS_OF, on_problem="set_aside")
    first = log.stages().frame.copy()
    given = log.stages().frame
    given["entered"] = -1
    pd.testing.assert_frame_equal(log.stages().frame, first)
    assert len(log.stages("entry_month").frame) > len(first)
    assert log.stages(window=5).frame["entered"].sum() < first["entered"].sum()
    assert log.split("2026-01-20")[0].stages().frame["entered"].sum() < first["entered"].sum()
