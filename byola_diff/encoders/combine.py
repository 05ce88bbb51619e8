"""Frame embeddings of several encoders in one shape and as one, and means over parts of a clip.

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
from torch.nn.functional import interpolate

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


def resize_width(
    frames: Float[Tensor, "batch frame dim"], width: int
) -> Float[Tensor, "batch frame width"]:
    """Frame embeddings of `width` features, between neighbours of the feature axis."""
    if frames.shape[2] == width:
        return frames
    return interpolate(frames, size=width, mode="linear", align_corners=False)


def resize_time(
    frames: Float[Tensor, "batch frame dim"], n_frames: int
) -> Float[Tensor, "batch frames dim"]:
    """`n_frames` frame embeddings, between neighbours in time.

    The first and last frames are taken to cover the same stretch before and after. Encoders whose
    frames are centred differently come out shifted, by less than one of the coarser frames.
    """
    if frames.shape[1] == n_frames:
        return frames
    by_time = frames.transpose(1, 2)  # [batch, dim, frame]
    return interpolate(by_time, size=n_frames, mode="linear", align_corners=False).transpose(1, 2)
