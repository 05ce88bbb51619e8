"""Batch normalisation, ReLU and max-pooling as one operation, for training on a CPU.

The three in a row move each activation map through memory a dozen times, which on a CPU costs more
than the convolution. Scaling and ReLU are monotone, so they can act on the pooled quarter instead:
max(relu(a x + b)) = relu(a max(x) + b), with the minimum for the maximum where a < 0.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import max_pool2d

from byola_diff.models.kernels import Kernels


def norm_relu_pool(
    maps: Float[Tensor, "batch channel mel frame"], norm: nn.BatchNorm2d
) -> Float[Tensor, "batch channel half_mel half_frame"]:
    """`max_pool2d(relu(norm(maps)), 2)`, by batch statistics; those that `norm` tracks move.

    The result is that of the three modules but for rounding, and so are all gradients. Only at a
    weight of 0, where all values tie, may its gradient differ: here it is the slope towards a
    weight above 0. In bfloat16 nothing is rounded on the way from maps to output where it is
    compiled; elsewhere it is the three modules.

    Raises:
        ValueError: If maps have fewer than two mel bands or frames.
    """
    if min(maps.shape[2:]) < 2:
        raise ValueError(f"maps of {tuple(maps.shape[2:])} can't be pooled by 2 x 2")
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    is_channels_last = maps.is_contiguous(memory_format=torch.channels_last)
    kernels = Kernels.of(maps) if is_channels_last else None
    if kernels is None and maps.dtype == torch.bfloat16:
        return max_pool2d(torch.relu(norm(maps)), 2)
    norm.num_batches_tracked += norm.track_running_stats
    if kernels is None:
        kept = (norm.running_mean, norm.running_var) if norm.track_running_stats else (None, None)
        mean, variance = torch.batch_norm_update_stats(maps.detach(), *kept, norm.momentum)
        inverse_std = torch.rsqrt(variance + norm.eps)
        return _NormReluPool.apply(maps, norm.weight, norm.bias, mean, inverse_std)
    mean, variance = kernels.statistics(maps.detach())
    if norm.track_running_stats:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        count = maps.numel() // maps.shape[1]
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
    inverse_std = torch.rsqrt(variance + norm.eps)
    return _CompiledNormReluPool.apply(kernels, maps, norm.weight, norm.bias, mean, inverse_std)


class _Slope(NamedTuple):
    """What batch normalisation sends back to a value x: scale * gradient + slope * x + offset.

    It is scale * (g - mean(g) - z mean(g z)), with g for the gradient and z for the normalised x.
    """

    scale: Tensor
    slope: Tensor
    offset: Tensor

    @classmethod
    def of(
        cls,
        count: int,
        weight: Tensor,
        mean: Tensor,
        inverse_std: Tensor,
        *,
        grad_weight: Tensor,
        grad_bias: Tensor,
    ) -> "_Slope":
        """From the gradients of weight and bias over `count` values of a channel."""
        scale = weight * inverse_std
        slope = -scale * inverse_std * grad_weight / count
        return cls(scale, slope, -scale * grad_bias / count - slope * mean)


class _NormReluPool(torch.autograd.Function):
    """By PyTorch's operations, on the statistics given; they count as functions of `maps`."""

    @staticmethod
    def forward(ctx, maps, weight, bias, mean, inverse_std):
        sign = torch.where(weight < 0, -1.0, 1.0)[:, None, None]
        signed = maps * sign if (weight < 0).any() else maps
        pooled, where = max_pool2d(signed, 2, return_indices=True)
        pooled = pooled * sign
        scale = weight * inverse_std
        shift = (bias - scale * mean)[:, None, None]
        output = torch.addcmul(shift, pooled, scale[:, None, None]).relu_()
        ctx.save_for_backward(maps, where, pooled, output, weight, mean, inverse_std)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # pyright: ignore[reportIncompatibleMethodOverride]
        maps, where, pooled, output, weight, mean, inverse_std = ctx.saved_tensors
        # Through the ReLU: where the output is 0, nothing flows.
        grad = torch.ops.aten.threshold_backward(grad, output, 0)
        grad_bias = grad.sum((0, 2, 3))
        grad_weight = ((grad * pooled).sum((0, 2, 3)) - mean * grad_bias) * inverse_std
        of_affine = {"grad_weight": grad_weight, "grad_bias": grad_bias}
        count = maps.numel() // maps.shape[1]
        back = _Slope.of(count, weight, mean, inverse_std, **of_affine)
        # Only the maxima have a gradient of their own.
        shares = grad * back.scale[:, None, None]
        grad_maps = torch.ops.aten.max_pool2d_with_indices_backward(
            shares, maps, [2, 2], [2, 2], [0, 0], [1, 1], False, where
        )
        grad_maps += torch.addcmul(back.offset[:, None, None], maps, back.slope[:, None, None])
        return grad_maps, grad_weight, grad_bias, None, None


class _CompiledNormReluPool(torch.autograd.Function):
    """The same in C++: maps are read twice forward, for statistics and output, and once back."""

    @staticmethod
    def forward(ctx, kernels, maps, weight, bias, mean, inverse_std):
        scale = weight * inverse_std
        output, largest, which = kernels.pool(maps, scale, bias - scale * mean)
        ctx.kernels = kernels
        ctx.save_for_backward(maps, largest, which, weight, mean, inverse_std)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # pyright: ignore[reportIncompatibleMethodOverride]
        maps, largest, which, weight, mean, inverse_std = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        total, products = ctx.kernels.sums(grad, largest, which)
        grad_bias = total.float()
        grad_weight = ((products - mean * total) * inverse_std).float()
        of_affine = {"grad_weight": grad_weight, "grad_bias": grad_bias}
        count = maps.numel() // maps.shape[1]
        back = _Slope.of(count, weight, mean, inverse_std, **of_affine)
        grad_maps = ctx.kernels.spread(maps, grad, which, *back)
        return None, grad_maps, grad_weight, grad_bias, None, None
