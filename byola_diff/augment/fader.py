"""Random linear fader: a straight change of loudness over the clip."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def fade(
    log_mel: Float[Tensor, "batch 1 mel frame"],
    start: Float[Tensor, " batch"],
    end: Float[Tensor, " batch"],
) -> Float[Tensor, "batch 1 mel frame"]:
    """Add to each clip a straight line in time from `start` to `end`, in the unit of the input."""
    position = torch.linspace(0, 1, log_mel.shape[-1], device=log_mel.device)
    line = torch.lerp(start[:, None], end[:, None], position)  # [batch, frame]
    return log_mel + line[:, None, None, :]


class RandomFader(nn.Module):
    """`fade` with both ends uniform in [-max_gain, max_gain), drawn anew for each clip.

    Source:
        Niizumi et al., 2023, "BYOL for Audio: Exploring pre-trained general-purpose audio
        representations" (random linear fader).
    """

    def __init__(self, max_gain: float = 1.0) -> None:
        super().__init__()
        self.max_gain = max_gain

    def forward(
        self, log_mel: Float[Tensor, "batch 1 mel frame"], generator: torch.Generator
    ) -> Float[Tensor, "batch 1 mel frame"]:
        """Faded batch; unchanged, with nothing drawn, if `max_gain` is 0."""
        if self.max_gain == 0:
            return log_mel
        draws = torch.rand(2, len(log_mel), device=log_mel.device, generator=generator)
        start, end = (2 * draws - 1) * self.max_gain
        return fade(log_mel, start, end)
