"""Random weights that depend on a seed alone, for untrained baselines."""

from collections.abc import Callable
from typing import TypeVar

import torch

from byola_diff.randomness import derive_seed

Network = TypeVar("Network")


def seeded_network(build: Callable[[], Network], seed: int) -> Network:
    """What `build` returns, with weights drawn by `seed`."""
    # Modules draw their weights from the global generator: seeded here, and left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        return build()
