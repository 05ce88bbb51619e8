"""Dropout whose mask costs little on the CPU."""

import torch
from jaxtyping import Shaped
from torch import Tensor, nn


class FastDropout(nn.Dropout):
    """`nn.Dropout`, with 16 random bits to a value on the CPU, where a draw is worth ten products.

    The probability is rounded to 1/65536. Elsewhere, and in eval mode, it is `nn.Dropout` itself.
    """

    def forward(self, input: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """Values set to 0 with probability `p`, the others scaled by 1 / (1 - p)."""
        dropped = round(self.p * 65536)
        if not self.training or input.device.type != "cpu" or dropped == 65536:
            return super().forward(input)
        # Four 16-bit values from each 64-bit draw, over the whole signed range.
        words = torch.empty((input.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[: input.numel()].reshape(input.shape)
        kept = bits >= dropped - 32768
        return input * kept * (65536 / (65536 - dropped))
