"""The difference term: what is left of a mixture once its other sound is subtracted.

Takeuchi et al., 2024, "Towards learning a difference-aware general-purpose audio representation",
Sec. 4.
Every view v_n is mixed with its neighbour in the batch, at a rate g_n drawn per clip:

    w_n = log(g_n exp(v_{n+1}) + (1 - g_n) exp(v_n))                      (Eq. 2)
    d_n = f(w_n) - g_n f(v_{n+1})             the *difference*

and from d_n, through the online projector and a second predictor, the target projection of what
remains, v_n, is predicted with the distance of BYOL (Eq. 3). The last neighbours the first. Here
are w and d; `byola_diff.training.objective` puts the loss together.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.audio.log_mel import log_mix


def neighbour(batch: Float[Tensor, "batch *rest"]) -> Float[Tensor, "batch *rest"]:
    """The batch shifted by one: index n holds what was at n + 1, and the last holds the first."""
    return torch.roll(batch, shifts=-1, dims=0)


def mix_with_neighbour(
    view: Float[Tensor, "batch 1 mel frame"], rate: Float[Tensor, " batch"]
) -> Float[Tensor, "batch 1 mel frame"]:
    """Each view mixed with its neighbour, which has the share `rate`: w of Eq. 2.

    Raises:
        ValueError: If there is one view only, which has no neighbour but itself.
    """
    if len(view) < 2:
        raise ValueError("the difference loss needs at least 2 clips in the batch of each process")
    return log_mix(view, neighbour(view), rate)


def subtract_neighbour(
    mixture: Float[Tensor, "batch dim"],
    representation: Float[Tensor, "batch dim"],
    rate: Float[Tensor, " batch"],
) -> Float[Tensor, "batch dim"]:
    """Representation of the mixture less the neighbour's at its rate: d of this page's head."""
    return mixture - rate[:, None] * neighbour(representation)
