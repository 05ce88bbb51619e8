"""Frame embeddings to one embedding for the clip."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

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
