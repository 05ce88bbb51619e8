"""Linear interpolation of frame embeddings, to give several encoders one shape.

Source:
    Wu et al., 2022, "The efficacy of self-supervised speech models as audio representations".
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate


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
