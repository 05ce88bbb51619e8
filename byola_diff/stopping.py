"""How a command is stopped: by Ctrl-C, by SIGTERM, or with the process that it works for."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_WORKS_FOR = "BYOLA_DIFF_WORKS_FOR"
_LOOK_S = 0.5


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, as of kill, docker stop or a queue: to be met as Ctrl-C is."""


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM raises `TerminatedError` in the block, once, as Ctrl-C raises KeyboardInterrupt.

    A process whose starter said so with `ending_with_this` ends with it, as do those of torchrun.
    """
    employer = os.environ.get(_WORKS_FOR)
    if employer or "TORCHELASTIC_RUN_ID" in os.environ:
        parent = int(employer) if employer else os.getppid()
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if threading.current_thread() is not threading.main_thread():  # others may not
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@contextmanager
def ending_with_this() -> Iterator[None]:
    """Commands that this process itself starts in the block end with it."""
    before = {name: value for name, value in os.environ.items() if name == _WORKS_FOR}
    os.environ[_WORKS_FOR] = str(os.getpid())
    try:
        yield
    finally:
        del os.environ[_WORKS_FOR]
        os.environ.update(before)


def _terminate(*_: Any) -> None:
    # Some send it twice, to the process and to its group.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise TerminatedError


def _end_with(parent: int) -> None:
    while os.name != "posix" or os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)
