"""Dropout that is quick on a CPU."""

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from byola_diff.models.kernels import Kernels


class FastDropout(nn.Dropout):
    """`nn.Dropout`, with 16 random bits to a value on the CPU, where a draw is worth ten products.

    The probability is rounded to 1/65536. Elsewhere, in eval mode and within `torch.compile` it is
    `nn.Dropout` itself.
    """

    def forward(self, input: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """Values set to 0 with probability `p`, the others scaled by 1 / (1 - p)."""
        dropped = round(self.p * 65536)
        is_slow = input.device.type == "cpu" and not torch.compiler.is_compiling()
        if not self.training or not is_slow or dropped == 65536:
            return super().forward(input)
        # Four 16-bit values from each 64-bit draw, over the whole signed range.
        draws = torch.empty((input.numel() + 3) // 4, dtype=torch.int64, device=input.device)
        bits = draws.random_(-(2**63), None).view(torch.int16)[: input.numel()]
        threshold, scale = dropped - 32768, 65536 / (65536 - dropped)
        kernels = Kernels.of(input) if input.is_contiguous() else None
        if kernels is not None:
            return _CompiledDropout.apply(kernels, input, bits, threshold, scale)
        return input * (bits >= threshold).reshape(input.shape) * scale


class _CompiledDropout(torch.autograd.Function):
    """In one pass each way."""

    @staticmethod
    def forward(ctx, kernels, values, bits, threshold, scale):
        ctx.kernels, ctx.how = kernels, (threshold, scale)
        ctx.save_for_backward(bits)
        return kernels.scale_kept(values, bits, threshold, scale)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # pyright: ignore[reportIncompatibleMethodOverride]
        (bits,) = ctx.saved_tensors
        return None, ctx.kernels.scale_kept(grad.contiguous(), bits, *ctx.how), None, None, None
