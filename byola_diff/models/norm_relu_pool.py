"""Batch normalisation, ReLU and 2x2 max-pooling as one step, for training on the CPU.

The three in a row move each activation map through memory a dozen times, which costs more than the
convolution. Scaling and ReLU are monotone, so they can act on the pooled quarter instead:
max(relu(a x + b)) = relu(a max(x) + b), with the minimum for the maximum where a < 0. The result is
that of the three modules; the backward pass below is that of all three together. Only at a = 0,
where all values tie, may the gradient of a differ: here it is the slope towards a > 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import max_pool2d


def norm_relu_pool(
    maps: Float[Tensor, "batch channel mel frame"], norm: nn.BatchNorm2d
) -> Float[Tensor, "batch channel half_mel half_frame"]:
    """`max_pool2d(relu(norm(maps)), 2)`, by batch statistics; those kept in `norm` move."""
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked += 1
    mean, variance = torch.batch_norm_update_stats(
        maps.detach(), norm.running_mean, norm.running_var, norm.momentum
    )
    inverse_std = torch.rsqrt(variance + norm.eps)
    return _NormReluPool.apply(maps, norm.weight, norm.bias, mean, inverse_std)


class _NormReluPool(torch.autograd.Function):
    """Works on the statistics given; they count as functions of `maps` in the backward pass."""

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
        # With g for the gradient and z for the normalised value, batch normalisation sends back
        # scale * (g - mean(g) - z mean(g z)). Only the maxima have a g; the rest of it, which
        # every value x gets, is written as slope * x + offset.
        scale, count = weight * inverse_std, maps.numel() // maps.shape[1]
        slope = -scale * inverse_std * grad_weight / count
        offset = -scale * grad_bias / count - slope * mean
        shares = grad * scale[:, None, None]
        grad_maps = torch.ops.aten.max_pool2d_with_indices_backward(
            shares, maps, [2, 2], [2, 2], [0, 0], [1, 1], False, where
        )
        grad_maps += torch.addcmul(offset[:, None, None], maps, slope[:, None, None])
        return grad_maps, grad_weight, grad_bias, None, None
