"""What one process of several has met becomes known to all: they stop after the same step.

A process that stopped alone would leave the others waiting in the middle of a step.
"""

import os
from functools import lru_cache
from typing import Any, TypeVar

import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import distributed

T = TypeVar("T")

_PEER_GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")


def gathered(mine: T) -> list[T]:
    """What each process gives, by rank; empty if nobody gives anything, as most often.

    Every process has to call this, as often as the others. What is given can be pickled.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return [mine] if mine else []
    group = _group_of_hosts(distributed.group.WORLD)
    given = torch.tensor(int(bool(mine)))
    distributed.all_reduce(given, distributed.ReduceOp.MAX, group)
    if not given:
        return []
    everything: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everything, mine, group)
    return everything


def raise_together(error: Exception | None) -> None:
    """Raise the error that any process gives, on the first; the others end without a word.

    With status 0, as Lightning kills the first process when another one fails. To be called as
    `gathered`.
    """
    for found in gathered(error):
        if found is None:
            continue
        if is_first():
            raise found
        raise SystemExit(0)


def is_first() -> bool:
    """Whether this is the process that speaks for all."""
    started = distributed.is_available() and distributed.is_initialized()
    if started:
        return distributed.get_rank() == 0
    first = rank_zero_only.rank == 0  # pyright: ignore[reportFunctionMemberAccess]
    return first and os.environ.get("NODE_RANK", "0") == "0"


def is_lost_peer(error: Exception) -> bool:
    """Whether the error says no more than that another process has ended."""
    return any(words in str(error) for words in _PEER_GONE)


@lru_cache(maxsize=1)
def _group_of_hosts(world: Any) -> Any:
    """Connections beside those of the devices, whose queues nobody has to wait for."""
    return distributed.new_group(backend="gloo")
