"""What the cores of this machine do, and how many threads should take them; without torch.

The threads of an operation share it evenly and wait for the last of them. Where one has to wait for
its core, all do, at every operation: a busy program on each of two cores leaves two threads a tenth
of their speed, and one thread half of its own.
"""

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

_PROCESSORS = Path("/proc/stat")
_OWN_WAITING = Path("/proc/self/schedstat")
_OWN_THREADS = Path("/proc/self/task")
FIXED_THREADS = "BYOLA_DIFF_FIXED_THREADS"
"""Variable of the environment that keeps the number of threads."""
SHARING_HELP = f"""\
While other programs need the cores, fewer threads are taken, which is said in a line and can change
the last bits of results; {FIXED_THREADS}=1 in the environment keeps their number."""


def usable_cores() -> int:
    """Cores that this process may run on; all, where the system does not say which."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_counters() -> bool:
    """Whether this system counts what the cores do, and what this process waits for one."""
    return _PROCESSORS.is_file() and _OWN_WAITING.is_file()


@dataclass(frozen=True)
class CoreUse:
    """What the cores that this process may use did, in seconds since some time in the past."""

    wall_s: float
    n_cores: int
    busy_s: float
    """Time that all processes ran, summed over the cores."""
    own_s: float
    """Time that the threads of this process ran, summed; those that it started count as others."""
    waited_s: float
    """Time that threads of this process could have run, but had no core, summed."""


@dataclass
class ThreadChooser:
    """How many threads to take, from looks at the cores, about one in a second."""

    n_full: int
    """Threads on a machine that does nothing else."""
    n_threads: int = 0
    _crowded: int = 0
    _free: int = 0
    _patience: int = 3
    _looks_since_raise: int | None = None

    def __post_init__(self) -> None:
        self.n_threads = self.n_threads or self.n_full

    def look(self, before: CoreUse, now: CoreUse) -> int:
        """The number of threads to go on with.

        Fewer after two looks in a row at threads that waited for cores; more after three or
        more at which others left room, twice as many each time that more were at once too many.
        """
        wall_s = now.wall_s - before.wall_s
        waiting = (now.waited_s - before.waited_s) / wall_s
        others = (now.busy_s - before.busy_s - now.own_s + before.own_s) / wall_s
        room = now.n_cores - max(others, 0.0)
        fitting = math.floor(room + 1 - _MARGIN)
        self._crowded = self._crowded + 1 if waiting > _CROWDED else 0
        self._free = self._free + 1 if fitting > self.n_threads else 0
        if self._looks_since_raise is not None:
            self._looks_since_raise += 1
        if self._crowded >= 2 and self.n_threads > 1:
            since = self._looks_since_raise
            if since is not None and since <= 2 * self._patience:
                self._patience = min(2 * self._patience, _LONGEST_PATIENCE)
            running = round(self.n_threads - waiting)
            self._set(min(math.floor(room + 0.5), running, self.n_threads - 1))
        elif self._free >= self._patience and self.n_threads < self.n_full:
            self._set(fitting)
            self._looks_since_raise = 0
        return self.n_threads

    def _set(self, n_threads: int) -> None:
        self.n_threads = min(max(n_threads, 1), self.n_full)
        self._crowded = self._free = 0


_CROWDED = 0.2
"""Threads that wait for a core at a time, on average; well below 0.1 on a quiet machine."""
_MARGIN = 0.7
"""Cores left by others, beyond those in use, at which one more is taken."""
_LONGEST_PATIENCE = 60


def use_of_cores() -> CoreUse:
    """The counters of the system (Linux) as they are now."""
    cores = os.sched_getaffinity(0)
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    busy = 0
    for line in _PROCESSORS.read_text().splitlines():
        name, *counts = line.split()
        if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in cores:
            user, nice, system, _idle, _wait, *interrupts = map(int, counts[:8])
            busy += user + nice + system + sum(interrupts)
    waited_ns = 0
    for thread in _OWN_THREADS.iterdir():
        try:
            waited_ns += int((thread / "schedstat").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
    return CoreUse(
        time.monotonic(), len(cores), busy / ticks_per_s, time.process_time(), waited_ns / 1e9
    )
