"""Processes that work on items, each in one thread, and that end with the process they serve."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import islice
from multiprocessing import connection, forkserver
from multiprocessing.context import BaseContext
from typing import TypeVar

import torch

from byola_diff.allocator import keep_freed_memory
from byola_diff.cluster import in_cluster
from byola_diff.threads import one_thread

T = TypeVar("T")
R = TypeVar("R")

_WAITING_PER_WORKER = 3
_GRACE_S = 30.0
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def outcomes(
    items: Sequence[T],
    work: Callable[[T], R],
    n_workers: int,
    slow_to_import: Sequence[str] = (),
    cluster: str | None = None,
) -> Generator[tuple[int, Callable[[], R]]]:
    """Place of each item as it is finished, and a function that gives its result or its error.

    Close the iterator to stop: items in work are finished, but on a cluster end in the middle; the
    others are dropped.

    Args:
        items: What is worked on, in any order.
        work: A function that can be pickled, for more than one process.
        n_workers: Processes; 1 is this one.
        slow_to_import: Packages that `work` imports, to be imported once for all processes.
        cluster: Address of a Ray cluster, as of `in_cluster`, to work there instead.
    """
    if cluster is not None:
        yield from in_cluster(items, work, cluster)
        return
    if n_workers > 1:
        yield from _in_processes(items, work, n_workers, slow_to_import)
        return
    with one_thread():
        for place, item in enumerate(items):
            yield place, partial(work, item)


def _in_processes(
    items: Sequence[T], work: Callable[[T], R], n_workers: int, slow_to_import: Sequence[str]
) -> Generator[tuple[int, Callable[[], R]]]:
    with _settings_of_one_thread():
        context = _context(slow_to_import)
        pool = ProcessPoolExecutor(n_workers, mp_context=context, initializer=_begin)
        waiting: dict[Future[R], int] = {}
        # A few at a time: a hundred thousand waiting items would be slow to submit and to cancel.
        left = iter(enumerate(items))
        try:
            while True:
                room = _WAITING_PER_WORKER * n_workers - len(waiting)
                waiting |= {pool.submit(work, item): place for place, item in islice(left, room)}
                if not waiting:
                    break
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), partial(_result, future)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _result(future: Future[R]) -> R:
    """What an item gave, or the error that it raised."""
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "the system has ended a worker process, perhaps for want of memory: fewer workers need "
            "less; the same command goes on from here"
        ) from error


def _context(slow_to_import: Sequence[str]) -> BaseContext:
    """How workers start: not by a fork of this process, whose threads would not survive it.

    A fork server imports once for all of them what this process has loaded of this package, and
    what is slow to import; not every system has one.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    loaded = sorted(name for name in sys.modules if name.startswith("byola_diff."))
    context.set_forkserver_preload([*slow_to_import, *loaded])
    forkserver.ensure_running()
    return context


@contextmanager
def _settings_of_one_thread() -> Iterator[None]:
    """Environment for new processes: numerical libraries read it when they are loaded."""
    before = {name: os.environ[name] for name in _THREAD_SETTINGS if name in os.environ}
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, "1"))
    try:
        yield
    finally:
        for name in _THREAD_SETTINGS:
            del os.environ[name]
        os.environ.update(before)


def _begin() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()  # clearing new pages for every stem would take a fifth of the time
    serve_parent()


def serve_parent(*_: object) -> None:
    """Let this process of `multiprocessing` be stopped by the one it serves, and end with it.

    Ctrl-C and a SIGTERM to all processes are for that one, which lets work in hand be finished;
    what the signal would end early is given time for it. To be called in the new process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _end_in(_GRACE_S))
    # Nor must Ctrl-C reach the sox program, which would end its output early and report success.
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _end_in(seconds: float) -> None:
    timer = threading.Timer(seconds, os._exit, [1])
    timer.daemon = True
    timer.start()
