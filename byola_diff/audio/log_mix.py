"""Log-sum-exp mixing, shared by the mixup augmentation and by the difference loss."""

import torch
from jaxtyping import Float
from torch import Tensor


def log_mix(
    first: Float[Tensor, "batch *rest"],
    second: Float[Tensor, "batch *rest"],
    second_share: Float[Tensor, " batch"],
) -> Float[Tensor, "batch *rest"]:
    """log((1 - share) exp(first) + share exp(second)), one share in [0, 1] per example.

    Computed as a log-sum-exp of shifted inputs: exact where exp alone would overflow, and equal to
    `first` where the share is 0.
    """
    share = second_share.reshape(-1, *[1] * (first.ndim - 1))
    return torch.logaddexp(first + torch.log1p(-share), second + torch.log(share))
