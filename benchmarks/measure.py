"""How long does one task take in a process of its own, and how much memory does it reach?

Every contender runs in a fresh Python process, so that none profits from what another loaded and the peak is its own. The
first call is ``cold`` (imports done, nothing else; files are in the page cache), the following ones are ``warm``.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

#: Every contender gets all cores of this machine and not more.
THREADS = os.cpu_count() or 1
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": str(THREADS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of the first call, of each later one, the peak memory in GB, and whatever the task returned last."""

    cold: float
    warm: list[float] = field(default_factory=list)
    peak: float = 0.0
    result: Any = None

    @property
    def median(self) -> float:
        """Median of the warm calls; the cold call where there was no other."""
        return statistics.median(self.warm) if self.warm else self.cold


def timed(task: Callable[[], Any], *, repeats: int, lasting: float = 0.0) -> Timing:
    """Call ``task`` once cold and ``repeats`` times warm, in this process; what is quick again and again, until ``lasting`` seconds are over."""
    seconds: list[float] = []
    result = None
    while len(seconds) <= repeats or sum(seconds[1:]) < lasting:
        start = time.perf_counter()
        result = task()
        seconds.append(time.perf_counter() - start)
    return Timing(cold=seconds[0], warm=seconds[1:], peak=peak_memory(), result=result)


def peak_memory() -> float:
    """Highest resident memory of this process so far, in GB (1e9 bytes)."""
    status = Path("/proc/self/status")
    if status.exists():  # the kernel's own mark: getrusage may show what the parent had when it started this process
        mark = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(mark.split()[1]) * 1024 / 1e9
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e9


def report(timing: Timing) -> None:
    """Hand a timing from a child to its parent: the last line on standard output."""
    print(json.dumps(asdict(timing)), flush=True)


def in_child(module: str, *arguments: str, python: str = sys.executable) -> Timing:
    """Run ``python -m module arguments`` and read the timing that it reports."""
    command = [python, "-m", module, *arguments]
    done = subprocess.run(command, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True)
    return Timing(**json.loads(done.stdout.splitlines()[-1]))


def machine(*packages: str) -> str:
    """Describe cores, memory, Python and the versions of packages in one sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    named = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{THREADS} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}; {named}."


def load() -> str:
    """Say how busy the machine is, where it is: seconds are then too long, and only ratios can be read."""
    busy = os.getloadavg()[1]
    return (
        f"Other programs kept the machine busy meanwhile (load {busy:.0f} on {THREADS} cores): read the ratios."
        if busy > THREADS
        else ""
    )
