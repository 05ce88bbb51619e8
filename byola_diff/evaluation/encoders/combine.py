"""Frame embeddings of several encoders as one, and the mean of frames over parts of a clip.

Source:
    Wu et al., 2022, "The efficacy of self-supervised speech models as audio representations", and
    the code of its authors, where what the paper calls concatenation interleaves.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

Combine = Literal["concat", "interleave", "average"]


def combined(
    frames: Sequence[Float[Tensor, "batch frame _"]], combine: Combine
) -> Float[Tensor, "batch frame dim"]:
    """Frames of several encoders as one: see `EnsembleEncoder`."""
    if combine == "concat":
        return torch.cat(list(frames), dim=-1)
    stacked = torch.stack(list(frames), dim=-1)  # [batch, frame, dim, member]
    return stacked.mean(dim=-1) if combine == "average" else stacked.flatten(start_dim=2)


def group_means(
    frames: Float[Tensor, "batch frame dim"], n_groups: int
) -> Float[Tensor, "batch grouped_dim"]:
    """Mean over each of `n_groups` stretches of equal length, one after the other.

    Frames left over at the end are dropped. Where there are fewer frames than groups, each group
    is the one frame at its place, so that neighbours share frames.
    """
    n_frames = frames.shape[1]
    if n_frames < n_groups:
        places = torch.arange(n_groups, device=frames.device) * n_frames // n_groups
        frames = frames[:, places]
    size = frames.shape[1] // n_groups
    groups = rearrange(frames[:, : n_groups * size], "b (g t) d -> b g t d", g=n_groups)
    return groups.mean(dim=2).flatten(start_dim=1)
