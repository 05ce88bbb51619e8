"""Fewer threads while other programs need the cores, and all of them again when they are free.

Why, and how many: `byola_diff.cores`.
"""

import _thread
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from byola_diff.cores import FIXED_THREADS, ThreadChooser, has_counters, use_of_cores

_LOOK_EVERY_S = 1.0
_SIGNAL = signal.SIGRTMAX - 1 if hasattr(signal, "SIGRTMAX") else 0


@dataclass
class _MainThread:
    """How many threads the main one is to use, and how many blocks hold it at one."""

    wanted: int | None = None
    held: int = 0


_main_thread = _MainThread()


def why_kept() -> str | None:
    """Why the number of threads stays as it is whatever other programs do; None if it does not."""
    if os.environ.get(FIXED_THREADS):
        return f"{FIXED_THREADS} is set"
    if torch.get_num_threads() == 1:
        return "there is one"
    if threading.current_thread() is not threading.main_thread():
        return "this is not the main thread"
    if not has_counters():
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
        line = (
            f"other programs need the cores: {n} of {n_full} threads ({FIXED_THREADS}=1 keeps all)"
        )
        print(line, file=sys.stderr, flush=True)
