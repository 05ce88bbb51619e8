"""Variance and covariance terms: they hold projections apart where others draw them together.

Bardes et al., 2022, "VICReg: Variance-invariance-covariance regularization for self-supervised
learning", Eqs. 1, 3 and 4, whose weights are 25 and 1 beside an invariance term of 25.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def variance_covariance_loss(projection: Float[Tensor, "batch dim"]) -> Float[Tensor, ""]:
    """Mean of max(0, 1 - deviation) over dimensions, and a 25th of the mean squared covariance.

    The latter is the sum over pairs of different dimensions, divided by the number of dimensions.
    In float32, whatever autocast says. Over the batch of this process alone.
    """
    n_clips, n_dims = projection.shape
    centred = (projection - projection.mean(0)).float()
    with torch.autocast(projection.device.type, enabled=False):
        covariance = centred.T @ centred / (n_clips - 1)
    variance = covariance.diagonal()
    off_diagonal = covariance.square().sum() - variance.square().sum()
    hinge = (1 - (variance + 1e-4).sqrt()).relu().mean()
    return hinge + off_diagonal / n_dims / 25
