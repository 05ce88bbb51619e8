"""Work on the machines of a Ray cluster, which share the folders that are read and written."""

import os
import socket
from collections.abc import Callable, Generator, Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch

from byola_diff.allocator import keep_freed_memory
from byola_diff.optional import require

T = TypeVar("T")
R = TypeVar("R")

_WAITING_PER_CORE = 3
_ATTEMPTS_AFTER_A_LOSS = 3
_REACHED_WITHIN_S = 10
_ENDED_WITHIN_S = 10


def in_cluster(
    items: Sequence[T], work: Callable[[T], R], address: str
) -> Generator[tuple[int, Callable[[], R]]]:
    """As `byola_diff.workers.outcomes`, on one core of the cluster for each item at a time.

    An item whose worker or machine is lost is worked on again, up to three times; so `work` has to
    give the same however often it is begun. Close the iterator to stop.

    Args:
        items: What is worked on, in any order.
        work: A function that can be pickled; this package has to be installed on all machines. It
            is sent once to each process, and may hold much, such as an encoder. Where the iterator
            is closed, what is in work ends in the middle, by a KeyboardInterrupt that is waited for
            ten seconds: whole files must appear at once.
        address: Such as "10.0.0.1:6379"; "auto" is the cluster that this machine is part of.

    Raises:
        ConnectionError: If there is no such cluster, or this process is using Ray already.
        ValueError: If `work` can't be sent.
    """
    ray = _connected(address)
    remote = ray.remote(max_retries=_ATTEMPTS_AFTER_A_LOSS)(_work_there)
    waiting: dict[Any, int] = {}
    left = iter(enumerate(items))
    try:
        # In a list, as Ray would read a bare reference for each item anew.
        sent = [_sent(work)]
        while True:
            n_cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
            room = _WAITING_PER_CORE * n_cores - len(waiting)
            for place, item in islice(left, max(room, 0)):
                waiting[remote.remote(sent, item, str(Path.cwd()))] = place
            if not waiting:
                break
            done, _ = ray.wait(list(waiting), num_returns=1)
            for reference in done:
                yield waiting.pop(reference), partial(_result, reference)
    finally:
        for reference in waiting:
            ray.cancel(reference)
        if waiting:  # else the next to use the folder may meet a worker that still writes there
            ray.wait(list(waiting), num_returns=len(waiting), timeout=_ENDED_WITHIN_S)
        ray.shutdown()


def _connected(address: str) -> Any:
    """The module of Ray, with a session on the cluster; raises as `in_cluster`."""
    ray = require("ray", "cluster", "--cluster")
    if ray.is_initialized():
        raise ConnectionError(
            f"--cluster {address}: this process has a session of Ray already, which would be ended "
            "here: call ray.shutdown() before, or use another process"
        )
    try:
        _reach(address)
        ray.init(address, log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError) as error:  # the latter of other versions of Ray or Python there
        raise ConnectionError(f"--cluster {address}: no such Ray cluster: {error}") from error
    return ray


def _reach(address: str) -> None:
    """Knock at the door, as Ray itself would wait for minutes where there is none."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    host = host.strip("[]")  # of IPv6
    if port.isdigit():
        socket.create_connection((host, int(port)), _REACHED_WITHIN_S).close()


def _sent(work: Callable[[T], R]) -> Any:
    """A reference to `work`, for all machines."""
    try:
        return require("ray", "cluster", "--cluster").put(work)
    except Exception as error:  # objects of others raise anything where they can't be pickled
        reason = str(error.__cause__ or error).partition("\n")[0]
        raise ValueError(f"--cluster: this can't be sent to other machines: {reason}") from error


def _result(reference: Any) -> Any:
    """What the work gave; of its errors the one that it raised, which Ray wraps in its own."""
    ray = require("ray", "cluster", "--cluster")
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        reason = str(error).partition("\n")[0]
        raise ConnectionError(f"lost on the cluster, also when tried again: {reason}") from error


def _work_there(sent: Sequence[Any], item: Any, folder: str) -> Any:
    torch.set_num_threads(1)
    keep_freed_memory()
    os.chdir(folder)
    return _received(sent[0])(item)


@lru_cache(maxsize=1)
def _received(reference: Any) -> Callable[[Any], Any]:
    """The work that was sent, read once in a process."""
    return require("ray", "cluster", "--cluster").get(reference)
