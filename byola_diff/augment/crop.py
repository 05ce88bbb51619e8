"""Random resize crop: a box of each log-mel, resized to the full image by bicubic interpolation.

Each clip has its own box. The box is axis-aligned, so resizing it is two small matrices per clip,
one over frequency and one over time: the whole batch is two batched matrix products, with no loop.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

_BOX_SCALE = (0.6, 1.5)
"""Range of the height and of the width of a box, as multiples of the image's."""
_CANVAS_SCALE = (1.0, 1.5)
"""Height and width of the canvas, likewise; boxes never exceed it."""


class Span(NamedTuple):
    """Start and length of each clip's box along one axis; the start may lie outside the image."""

    start: Int[Tensor, " batch"]
    length: Int[Tensor, " batch"]


def resize_crop(
    log_mel: Float[Tensor, "batch 1 mel frame"], mel: Span, frame: Span
) -> Float[Tensor, "batch 1 mel frame"]:
    """Each clip's box, resized to the size of the whole image.

    Equal to `torch.nn.functional.interpolate(box, mode="bicubic", align_corners=True)` of each box,
    where a box that reaches over the edge of the image finds zeros there.
    """
    n_mels, n_frames = log_mel.shape[-2:]
    mel_weights = _bicubic_weights(mel, n_mels)  # [batch, mel, mel]
    frame_weights = _bicubic_weights(frame, n_frames)  # [batch, frame, frame]
    resized = mel_weights @ log_mel[:, 0].float() @ frame_weights.transpose(1, 2)
    return resized[:, None]


class RandomResizeCrop(nn.Module):
    """`resize_crop` of a box drawn anew for each clip.

    The box is drawn on a canvas with the clip at its centre and zeros, the corpus mean, around it.

    Source:
        Niizumi et al., 2021, "BYOL for Audio", Sec. III-B; sizes of the released code.
    """

    def __init__(self, mel_scale: tuple[float, float] = (0.6, 1.5)) -> None:
        """`mel_scale` is the range of the height of boxes, as a share of that of the image."""
        super().__init__()
        self.mel_scale = mel_scale

    def forward(
        self, log_mel: Float[Tensor, "batch 1 mel frame"], generator: torch.Generator
    ) -> Float[Tensor, "batch 1 mel frame"]:
        """Cropped and resized batch."""
        batch, _, n_mels, n_frames = log_mel.shape
        draws = torch.rand(4, batch, device=log_mel.device, generator=generator)
        mel = draw_span(n_mels, self.mel_scale, _CANVAS_SCALE[0], draws[0], draws[1])
        frame = draw_span(n_frames, _BOX_SCALE, _CANVAS_SCALE[1], draws[2], draws[3])
        return resize_crop(log_mel, mel, frame)


def draw_span(
    size: int,
    scale: tuple[float, float],
    canvas_scale: float,
    size_draw: Float[Tensor, " batch"],
    place_draw: Float[Tensor, " batch"],
) -> Span:
    """Spans from draws in [0, 1): length floor(U(scale) size), start uniform on the canvas."""
    canvas = int(size * canvas_scale)
    length = ((scale[0] + (scale[1] - scale[0]) * size_draw) * size).long().clamp(1, canvas)
    start = (place_draw * (canvas - length + 1)).long()
    return Span(start - (canvas - size) // 2, length)


_CUBIC = -0.75
"""The cubic coefficient of PyTorch's bicubic kernel."""


def _bicubic_weights(span: Span, size: int) -> Float[Tensor, "batch out size"]:
    """Matrix per clip from image axis to resized box; taps outside the image are dropped."""
    start, length = span.start[:, None, None], span.length[:, None, None]
    steps = torch.arange(size, device=span.start.device)[None, :, None]
    # align_corners: the first and last output sit on the first and last line of the box. Rounded as
    # in torch's own kernel, scale first: the other order is off by 5e-5 in the result.
    position = (length - 1).float() / max(size - 1, 1) * steps  # [batch, out, 1]
    taps = position.long() + torch.arange(-1, 3, device=start.device)  # [batch, out, 4]
    weights = _cubic_kernel(taps - position)
    # Taps beyond the box repeat its edge line; then from the box to the image.
    lines = taps.clamp_min(0).minimum(length - 1) + start
    inside = (lines >= 0) & (lines < size)
    matrix = torch.zeros(len(lines), size, size, device=lines.device)
    return matrix.scatter_add_(2, lines.clamp(0, size - 1), weights * inside)


def _cubic_kernel(offset: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    distance = offset.abs()
    near = ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * _CUBIC - 4 * _CUBIC
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
