"""Frame embeddings to one embedding for the clip."""

from jaxtyping import Float
from torch import Tensor


def mean_max_pool(
    frame_embeddings: Float[Tensor, "batch frame dim"],
) -> Float[Tensor, "batch dim"]:
    """Mean over time plus maximum over time.

    Not linear: the pooled difference of two clips is not the difference of their pooled embeddings.

    Source:
        Niizumi et al., 2022, "Composing general audio representation by fusing multilayer features
        of a pre-trained model", Eq. 3.
    """
    return frame_embeddings.mean(dim=1) + frame_embeddings.amax(dim=1)
