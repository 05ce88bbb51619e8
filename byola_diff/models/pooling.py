"""Frame embeddings to one embedding for the clip."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from byola_diff.models.kernels import Kernels

Pooling = Literal["mean+max", "mean", "first"]


def pool(frames: Float[Tensor, "batch frame dim"], pooling: Pooling) -> Float[Tensor, "batch dim"]:
    """One vector per clip; "first" takes the only frame there is.

    Raises:
        ValueError: If "first" is asked of several frames.
    """
    if pooling == "mean+max":
        return mean_max_pool(frames)
    if pooling == "mean":
        return frames.mean(dim=1)
    if frames.shape[1] != 1:
        raise ValueError(f"{frames.shape[1]} frames need pooling; 'first' is for a single one")
    return frames[:, 0]


def mean_max_pool(
    frame_embeddings: Float[Tensor, "batch frame dim"],
) -> Float[Tensor, "batch dim"]:
    """Mean over time plus maximum over time.

    Not linear: the pooled difference of two clips is not the difference of their pooled embeddings.

    Source:
        Niizumi et al., 2022, "Composing general audio representation by fusing multilayer features
        of a pre-trained model", Eq. 3.
    """
    return frame_embeddings.mean(dim=1) + frame_embeddings.amax(dim=1)


def mean_max_pool_float32(
    frame_embeddings: Float[Tensor, "batch frame dim"],
) -> Float[Tensor, "batch dim"]:
    """`mean_max_pool` of the frames in float32; on a CPU in one pass each way.

    The whole gradient of a maximum goes to the first of equal frames, as in the published code;
    `mean_max_pool` shares it among them.
    """
    kernels = Kernels.of(frame_embeddings) if frame_embeddings.is_contiguous() else None
    if kernels is None or frame_embeddings.shape[1] > _MOST_FRAMES:
        frames = frame_embeddings.float()
        return frames.mean(dim=1) + frames.max(dim=1).values
    return _CompiledMeanMax.apply(kernels, frame_embeddings)


_MOST_FRAMES = 256
"""Whose numbers fit a byte."""


class _CompiledMeanMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, kernels, frames):
        output, which = kernels.mean_max(frames)
        ctx.kernels, ctx.n_frames = kernels, frames.shape[1]
        ctx.save_for_backward(which)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # pyright: ignore[reportIncompatibleMethodOverride]
        (which,) = ctx.saved_tensors
        return None, ctx.kernels.mean_max_back(grad.contiguous(), which, ctx.n_frames)
