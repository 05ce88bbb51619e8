"""The BYOL term: how far a prediction is from the target projection."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity


def byol_loss(
    prediction: Float[Tensor, "batch dim"], target: Float[Tensor, "batch dim"]
) -> Float[Tensor, ""]:
    """Mean squared distance between unit-length prediction and target, in [0, 4].

    One direction only: the caller adds the term with the two views swapped.

    Args:
        prediction: Output of the online predictor.
        target: Output of the target projector; held constant here, whatever the caller did.

    Source:
        Grill et al., 2020, "Bootstrap your own latent", Eq. 2; Takeuchi et al., 2024, Eq. 1.
    """
    return (2 - 2 * cosine_similarity(prediction, target.detach(), dim=-1)).mean()
