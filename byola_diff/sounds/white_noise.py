"""White noise from one fixed table, read from a random place on for each clip.

Hashing a counter per sample costs about ten times the rest of a sound. A table of two million
values, filtered and shaped differently each time, is random enough that no two clips share a
spectrogram, and the same on every device.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.randomness import torch_generator

_TABLE_SIZE = 1 << 21


def noise_at(position: Float[Tensor, " batch"], count: int) -> Float[Tensor, "batch count"]:
    """`count` values of unit variance per clip, from a place in [0, 1) of the table on.

    Long requests run over the end of the table into its beginning.
    """
    table = _table(position.device)
    start = (position.double() * _TABLE_SIZE).long()
    if count <= _TABLE_SIZE // 8:
        # A window on the table: several times faster than an index per sample. Starts are taken
        # from the first 7/8, which every window fits behind.
        return table.unfold(0, count, 1)[start * 7 // 8]
    return table[(start[:, None] + torch.arange(count, device=table.device)) % _TABLE_SIZE]


@lru_cache(maxsize=8)
def _table(device: torch.device) -> Tensor:
    values = torch.randn(_TABLE_SIZE, generator=torch_generator("sounds", "white noise"))
    return values.to(device)
