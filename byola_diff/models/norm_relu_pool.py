"""Batch normalisation, ReLU and max-pooling as one operation, for training on a CPU.

The three in a row move each activation map through memory a dozen times, which on a CPU costs more
than the convolution. Scaling and ReLU are monotone, so they can act on the pooled quarter instead:
max(relu(a x + b)) = relu(a max(x) + b), with the minimum for the maximum where a < 0.
"""

import ctypes
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import max_pool2d

from byola_diff.compiled import compiled_library

_SOURCE = Path(__file__).with_suffix(".cpp")
_SUFFIX = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


def norm_relu_pool(
    maps: Float[Tensor, "batch channel mel frame"], norm: nn.BatchNorm2d
) -> Float[Tensor, "batch channel half_mel half_frame"]:
    """`max_pool2d(relu(norm(maps)), 2)`, by batch statistics; those that `norm` tracks move.

    The result is that of the three modules but for rounding, and so are all gradients. Only at a
    weight of 0, where all values tie, may its gradient differ: here it is the slope towards a
    weight above 0. In bfloat16 nothing is rounded on the way from maps to output.
    """
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    library = compiled_library(_SOURCE) if _is_channels_last(maps) else None
    if library is None and maps.dtype == torch.bfloat16:
        return max_pool2d(torch.relu(norm(maps)), 2)
    norm.num_batches_tracked += norm.track_running_stats
    if library is None:
        kept = (norm.running_mean, norm.running_var) if norm.track_running_stats else (None, None)
        mean, variance = torch.batch_norm_update_stats(maps.detach(), *kept, norm.momentum)
        inverse_std = torch.rsqrt(variance + norm.eps)
        return _NormReluPool.apply(maps, norm.weight, norm.bias, mean, inverse_std)
    compiled = _Compiled(library, _SUFFIX[maps.dtype])
    mean, variance = compiled.statistics(maps.detach())
    if norm.track_running_stats:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        count = maps.numel() // maps.shape[1]
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
    inverse_std = torch.rsqrt(variance + norm.eps)
    return _CompiledNormReluPool.apply(compiled, maps, norm.weight, norm.bias, mean, inverse_std)


def _is_channels_last(maps: Tensor) -> bool:
    return maps.dtype in _SUFFIX and maps.is_contiguous(memory_format=torch.channels_last)


class _Slope(NamedTuple):
    """What batch normalisation sends back to each value x: scale * gradient + slope * x + offset.

    With g for the gradient and z for the normalised value it is scale * (g - mean(g) - z mean(g z)).
    """

    scale: Tensor
    slope: Tensor
    offset: Tensor

    @classmethod
    def of(
        cls, count: int, weight: Tensor, mean: Tensor, inverse_std: Tensor, sums: tuple[Tensor, ...]
    ) -> "_Slope":
        """From the gradients of weight and bias over `count` values of a channel."""
        grad_weight, grad_bias = sums
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
        count, sums = maps.numel() // maps.shape[1], (grad_weight, grad_bias)
        back = _Slope.of(count, weight, mean, inverse_std, sums)
        # Only the maxima have a gradient of their own.
        shares = grad * back.scale[:, None, None]
        grad_maps = torch.ops.aten.max_pool2d_with_indices_backward(
            shares, maps, [2, 2], [2, 2], [0, 0], [1, 1], False, where
        )
        grad_maps += torch.addcmul(back.offset[:, None, None], maps, back.slope[:, None, None])
        return grad_maps, grad_weight, grad_bias, None, None


class _CompiledNormReluPool(torch.autograd.Function):
    """The same in one pass over the maps each way."""

    @staticmethod
    def forward(ctx, compiled, maps, weight, bias, mean, inverse_std):
        scale = weight * inverse_std
        output, largest, which = compiled.pool(maps, scale, bias - scale * mean)
        ctx.compiled = compiled
        ctx.save_for_backward(maps, largest, which, weight, mean, inverse_std)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # pyright: ignore[reportIncompatibleMethodOverride]
        maps, largest, which, weight, mean, inverse_std = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        total, products = ctx.compiled.sums(grad, largest, which)
        grad_bias = total.float()
        grad_weight = ((products - mean * total) * inverse_std).float()
        count, sums = maps.numel() // maps.shape[1], (grad_weight, grad_bias)
        back = _Slope.of(count, weight, mean, inverse_std, sums)
        grad_maps = ctx.compiled.spread(maps, grad, which, back)
        return None, grad_maps, grad_weight, grad_bias, None, None


class _Compiled(NamedTuple):
    """The functions of `norm_relu_pool.cpp` for channels-last maps of one type."""

    library: ctypes.CDLL
    suffix: str

    def statistics(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (of the population) of each channel."""
        mean, variance = torch.empty(2, maps.shape[1]).unbind()
        self._call("statistics", maps, _sizes(maps), mean, variance)
        return mean, variance

    def pool(self, maps: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Output; the value that each is of; its place among four, 4 where the output is 0."""
        batch, channel, mel, frame = maps.shape
        like = {"memory_format": torch.channels_last}
        output = torch.empty(batch, channel, mel // 2, frame // 2, dtype=maps.dtype, **like)
        largest, which = torch.empty_like(output), torch.empty_like(output, dtype=torch.uint8)
        self._call("pool", maps, _sizes(maps), scale, shift, output, largest, which)
        return output, largest, which

    def sums(self, grad: Tensor, largest: Tensor, which: Tensor) -> Float[Tensor, "2 channel"]:
        """Gradients that flow, and gradients times values, summed for each channel."""
        sums = torch.empty(2, grad.shape[1], dtype=torch.float64)
        batch, channel, half_mel, half_frame = grad.shape
        sizes = torch.tensor([batch, 2 * half_mel, 2 * half_frame, channel])
        self._call("sums", grad, largest, which, sizes, sums)
        return sums

    def spread(self, maps: Tensor, grad: Tensor, which: Tensor, back: _Slope) -> Tensor:
        """Gradient of the maps."""
        output = torch.empty_like(maps)
        self._call("spread", maps, grad, which, _sizes(maps), *back, output)
        return output

    def _call(self, name: str, *tensors: Tensor) -> None:
        pointers: list[Any] = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
        getattr(self.library, f"{name}_{self.suffix}")(*pointers)


def _sizes(maps: Tensor) -> Tensor:
    batch, channel, mel, frame = maps.shape
    return torch.tensor([batch, mel, frame, channel])
