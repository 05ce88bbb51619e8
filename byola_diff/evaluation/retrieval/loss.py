"""Losses of retrieval with a text modifier: which target belongs to a query, and what sounds in it.

Source:
    The difference-aware paper, section 5.3, names a contrastive and a multi-label classification
    loss; both directions of the contrast, the negatives (the batch) and the weight are our reading.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize

from byola_diff.evaluation.retrieval.embedded_pairs import PairBatch
from byola_diff.evaluation.retrieval.network import RetrievalNetwork


def info_nce(
    query: Float[Tensor, "batch dim"],
    target: Float[Tensor, "batch dim"],
    temperature: Float[Tensor, ""] | float,
) -> Float[Tensor, ""]:
    """Mean of both directions: which target is the query's, and which query is the target's.

    Lengths do not count: similarities are cosines. A single pair has nothing to be mistaken for,
    and costs 0.
    """
    # In float32 whatever the adapters ran in: a temperature of 0.07 or less magnifies rounding.
    with torch.autocast(query.device.type, enabled=False):
        cosines = normalize(query.float(), dim=1) @ normalize(target.float(), dim=1).T
    logits = cosines / temperature
    own = torch.arange(len(query), device=query.device)
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2


def retrieval_loss(
    network: RetrievalNetwork, batch: PairBatch, class_weight: float
) -> dict[str, Float[Tensor, ""]]:
    """The terms `contrastive` and `classes`, and their `total`.

    Args:
        network: Adapters and classifier.
        batch: Pairs; their embeddings are constants.
        class_weight: Of the term `classes`.
    """
    latent = network.audio_adapter(batch.audio)  # first clips, then second clips
    first, second = latent.chunk(2)
    query = first + network.text_adapter(batch.text)
    contrastive = info_nce(query, second, network.temperature)
    classes = latent.new_zeros(())
    if network.classifier is not None:
        logits = network.classifier(latent).float()
        classes = binary_cross_entropy_with_logits(logits, batch.labels)
    total = contrastive + class_weight * classes
    return {"contrastive": contrastive, "classes": classes, "total": total}
