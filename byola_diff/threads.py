"""Fewer threads while other programs need the cores, and all of them again when they are free.

The threads of an operation share it evenly and wait for the last of them. Where one has to wait for
its core, all do, at every operation: a busy program on each of two cores leaves two threads a tenth
of their speed, and one thread half of its own.
"""

import _thread
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_LOOK_EVERY_S = 1.0
_PROCESSORS = Path("/proc/stat")
_OWN_THREADS = Path("/proc/self/task")
_OWN_WAITING = Path("/proc/self/schedstat")
_KEEP = "BYOLA_DIFF_FIXED_THREADS"
_SIGNAL = signal.SIGRTMAX - 1 if hasattr(signal, "SIGRTMAX") else 0
SHARING_HELP = f"""\
While other programs need the cores, fewer threads are taken, which is said in a line and can change
the last bits of results; {_KEEP}=1 in the environment keeps their number."""


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


@dataclass
class _MainThread:
    """How many threads the main one is to use, and how many blocks hold it at one."""

    wanted: int | None = None
    held: int = 0


_main_thread = _MainThread()


def why_kept() -> str | None:
    """Why the number of threads stays as it is whatever other programs do; None if it does not."""
    if os.environ.get(_KEEP):
        return f"{_KEEP} is set"
    if torch.get_num_threads() == 1:
        return "there is one"
    if threading.current_thread() is not threading.main_thread():
        return "this is not the main thread"
    if not (_PROCESSORS.is_file() and _OWN_WAITING.is_file()):
        return "the system does not tell what other programs use"
    return None


@contextmanager
def sharing_cores() -> Iterator[None]:
    """In the block, PyTorch's threads in the main thread follow what other programs leave.

    Once a second another thread looks at the cores; it is a matter of microseconds. The main thread
    changes the number between two operations. Nothing happens where there is one thread anyway,
    outside Linux, in other threads than the main one, or with `BYOLA_DIFF_FIXED_THREADS` set.
    """
    n_full = torch.get_num_threads()
    if why_kept():
        yield
        return
    _main_thread.wanted = n_full
    before = signal.signal(_SIGNAL, _take_wanted)
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(ThreadChooser(n_full), ended), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        signal.signal(_SIGNAL, before or signal.SIG_DFL)
        _main_thread.wanted = None
        torch.set_num_threads(n_full)


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch in one thread: the last bits of sums depend on the number of threads."""
    n_threads = torch.get_num_threads()
    _main_thread.held += 1  # first: a wish that comes in between must not undo the next line
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _main_thread.held -= 1
        torch.set_num_threads(1 if _main_thread.held else _main_thread.wanted or n_threads)


def _watch(chooser: ThreadChooser, ended: threading.Event) -> None:
    try:
        before = use_of_cores()
        while not ended.wait(_LOOK_EVERY_S):
            now, n_threads = use_of_cores(), chooser.n_threads
            if chooser.look(before, now) != n_threads:
                _say(n_threads, chooser)
                _ask_for(chooser.n_threads)
            before = now
    except (OSError, ValueError, IndexError) as error:
        print(f"the use of cores can't be read, all threads are taken: {error}", file=sys.stderr)
        _ask_for(chooser.n_full)


def _ask_for(n_threads: int) -> None:
    _main_thread.wanted = n_threads
    # Runs `_take_wanted` there; nothing is interrupted.
    _thread.interrupt_main(_SIGNAL)  # pyright: ignore[reportArgumentType]


def _take_wanted(*_: object) -> None:
    # The number is a thread's own: only the main thread can change that of the main thread.
    if _main_thread.wanted is not None and not _main_thread.held:
        torch.set_num_threads(_main_thread.wanted)


def _say(n_before: int, chooser: ThreadChooser) -> None:
    """A line when the first threads go, and one when all are there again."""
    n, n_full = chooser.n_threads, chooser.n_full
    if n == n_full:
        print(f"the cores are free again: {n} threads", file=sys.stderr, flush=True)
    elif n_before == n_full:
        line = f"other programs need the cores: {n} of {n_full} threads ({_KEEP}=1 keeps all)"
        print(line, file=sys.stderr, flush=True)
