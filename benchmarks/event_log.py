"""What does a large, clean event log look like? Leads of three years in time order, as a Parquet file.

Deals arrive evenly, pass five stages with a chance that depends on their channel, stay for exponential times and are otherwise
lost; what lies after the end of observation has not happened yet, so the young ones are open. Stages are entered in order and
once, so that every rule of order gives the same counts and contenders can be compared.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

STAGES = ("Lead", "Marketing", "Sales Lead", "Opportunity", "Won")
CHANNELS = ("Web", "Referral", "Event", "Partner", "Outbound", "Social")
REGIONS = ("North", "South", "East", "West", "Centre", "Coast", "Isles", "Abroad")
START, AS_OF = "2023-01-01", "2025-12-31"
MAPPING = {"stages": list(STAGES), "lost": ["Lost"], "entity": "entity", "stage": "stage", "at": "at",
           "columns": {"channel": "channel", "region": "region"}}  # fmt: skip
_DAY = 86_400
_EVENTS_PER_ENTITY = 2.99


def write_log(path: Path, *, rows: int, seed: int = 1) -> int:
    """Write about ``rows`` stage entries to a Parquet file, and return how many there are."""
    rng = np.random.default_rng(seed)
    n = round(rows / _EVENTS_PER_ENTITY)
    span = int((np.datetime64(AS_OF) - np.datetime64(START)) / np.timedelta64(1, "D") + 1) * _DAY
    channel = rng.integers(len(CHANNELS), size=n, dtype=np.int8)
    region = rng.integers(len(REGIONS), size=n, dtype=np.int8)
    chance = np.linspace(0.4, 0.7, len(CHANNELS))[channel]
    at = np.sort(rng.integers(span, size=n))
    entity = np.arange(n)
    parts = []
    for stage in range(len(STAGES)):
        parts.append((entity, np.full(len(entity), stage, dtype=np.int8), at))
        if stage == len(STAGES) - 1:
            break
        advances = rng.random(len(entity)) < chance[entity]
        leaving = at + rng.exponential((10 + 10 * stage) * _DAY, size=len(entity)).astype(np.int64) + 1
        happened = leaving < span
        gone = happened & ~advances
        parts.append((entity[gone], np.full(gone.sum(), len(STAGES), dtype=np.int8), leaving[gone]))
        entity, at = entity[happened & advances], leaving[happened & advances]
    entity, stage, at = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(at, kind="stable")
    entity, stage, at = entity[order], stage[order], at[order]
    table = pa.table({
        "entity": entity * 7 + 1_000_000,
        "stage": pa.DictionaryArray.from_arrays(stage, [*STAGES, "Lost"]),
        "at": (at * 1_000_000).astype("timedelta64[us]") + np.datetime64(START, "us"),
        "channel": pa.DictionaryArray.from_arrays(channel[entity], list(CHANNELS)),
        "region": pa.DictionaryArray.from_arrays(region[entity], list(REGIONS)),
    })  # fmt: skip
    pq.write_table(table, path, row_group_size=1_000_000)
    return len(table)
