"""Work on many items in several processes: refused ones are listed, the rest goes on.

What an item becomes must depend on the item alone. Results come in the order of the items, and each
process computes in one thread, so the number of processes changes no bit. Processes end with the
one that they serve.
"""

import errno
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from multiprocessing import connection, forkserver
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TypeVar

import torch
from tqdm import tqdm

from byola_diff.allocator import keep_freed_memory
from byola_diff.audio.files import AudioFileError
from byola_diff.soundscapes.render.plan import CLIPPING_REMEDY, ClippingError
from byola_diff.tables.rows import write_rows

T = TypeVar("T")
R = TypeVar("R")

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_WAITING_PER_WORKER = 3
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SLOW_TO_IMPORT = "pyloudnorm"
_ROOM = ".".join(__name__.split(".")[:2])


@dataclass(frozen=True)
class Refusal:
    """An item that can't be made, and why."""

    name: str
    reason: str
    clips: bool = False
    """Whether a lower level would mend it."""

    def of_option(self) -> "Refusal":
        """The same in the words of a command that sets the level by its option --ref-db."""
        if not self.clips:
            return self
        return replace(self, reason=self.reason.replace(CLIPPING_REMEDY, "lower --ref-db"))


def produce(
    items: Sequence[T],
    work: Callable[[T], R],
    name_of: Callable[[T], str],
    *,
    n_workers: int,
    title: str,
) -> tuple[list[tuple[T, R]], list[Refusal]]:
    """Items with the results of `work`, and the refused items, with a bar on the error output.

    For more than one process, `work` has to be one that can be pickled. An item for which it raises
    AudioFileError, ValueError or OSError is refused.

    Raises:
        ModuleNotFoundError: If `work` needs a package that is not installed.
        RuntimeError: If any other error, or a full disk, stops the work; it names the item.
    """
    done: dict[int, tuple[T, R]] = {}
    refused: dict[int, Refusal] = {}
    attempts = _outcomes(items, partial(_attempt, work), min(n_workers, len(items)))
    with tqdm(total=len(items), desc=title, unit="item") as bar, closing(attempts):
        for place, result_of in attempts:
            name = name_of(items[place])
            try:
                outcome = result_of()
            except ModuleNotFoundError:  # says what to install, and is no fault of the item
                raise
            except Exception as error:
                full = "disk full; free space and give the same command"
                what = full if _is_full_disk(error) else f"{type(error).__name__}: {error}"
                raise RuntimeError(f"{title} stopped at {name}: {what}") from error
            if isinstance(outcome, Refusal):
                reason = outcome.reason.removeprefix(f"{name}: ")  # some errors name their item
                refused[place] = replace(outcome, name=name, reason=reason)
                bar.set_postfix(refused=len(refused), refresh=False)
            else:
                done[place] = items[place], outcome
            bar.update()
    return [done[place] for place in sorted(done)], [refused[place] for place in sorted(refused)]


def write_refused(path: Path, refused: Sequence[Refusal]) -> None:
    """Write the refused items with their reasons as CSV; remove the file if there are none."""
    if refused:
        write_rows(path, ["item", "reason"], [[one.name, one.reason] for one in refused])
    else:
        path.unlink(missing_ok=True)


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch in one thread: the last bits of sums depend on the number of threads."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _attempt(work: Callable[[T], R], item: T) -> R | Refusal:
    """The result, or a refusal without the name of the item."""
    try:
        return work(item)
    except (AudioFileError, ValueError, OSError) as error:
        if _is_full_disk(error):
            raise  # it would meet all items that follow
        return Refusal("", str(error) or type(error).__name__, isinstance(error, ClippingError))


def _is_full_disk(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in _DISK_FULL


def _outcomes(
    items: Sequence[T], work: Callable[[T], R], n_workers: int
) -> Generator[tuple[int, Callable[[], R]]]:
    """Place of each item as it is finished, and a function that gives its result or its error.

    Close the iterator to stop: items in work are finished, the others dropped.
    """
    left = iter(enumerate(items))
    if n_workers < 2:
        with one_thread():
            yield from ((place, partial(work, item)) for place, item in left)
        return
    with _settings_of_one_thread():
        pool = ProcessPoolExecutor(n_workers, mp_context=_context(), initializer=_begin)
        waiting: dict[Future[R], int] = {}
        try:
            while True:
                # A few at a time: a hundred thousand waiting items would be slow to submit and to
                # cancel.
                room = _WAITING_PER_WORKER * n_workers - len(waiting)
                waiting |= {pool.submit(work, item): place for place, item in islice(left, room)}
                if not waiting:
                    break
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _context() -> BaseContext:
    """How workers start: not by a fork of this process, whose threads would not survive it.

    A fork server imports once for all of them what this process has loaded of this folder, and
    what that is slow to import; not every system has one.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    loaded = sorted(name for name in sys.modules if name.startswith(f"{_ROOM}."))
    context.set_forkserver_preload([_SLOW_TO_IMPORT, *loaded])
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
    # Ctrl-C is for the process that this one serves, which lets items in work be finished. It must
    # not reach the sox program either, which would end its output early and report success.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
