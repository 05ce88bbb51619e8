"""Nearest neighbours: a probe without training, cheap enough to run while an encoder trains."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

_QUERIES_AT_ONCE = 1024


def nearest_accuracy(
    train_embeddings: Float[Tensor, "train dim"],
    train_labels: Int[Tensor, " train"],
    test_embeddings: Float[Tensor, "test dim"],
    test_labels: Int[Tensor, " test"],
    n_neighbours: int = 5,
) -> float:
    """Share of test clips whose nearest training clips vote for their label.

    Near is a large cosine, after the training mean is subtracted from both sides: embeddings behind
    a ReLU all point into one corner. A tied vote goes to the label with the larger sum of cosines.

    Raises:
        ValueError: If a side is empty, a value is not finite, or `n_neighbours` is below 1.
    """
    if not len(train_embeddings) or not len(test_embeddings):
        raise ValueError(f"{len(train_embeddings)} training and {len(test_embeddings)} test clips")
    if not (train_embeddings.isfinite().all() and test_embeddings.isfinite().all()):
        raise ValueError("an embedding is NaN or infinite")
    if n_neighbours < 1:
        raise ValueError(f"n_neighbours must be positive, not {n_neighbours}")
    mean = train_embeddings.mean(0)
    train = normalize(train_embeddings - mean, dim=1)
    predictions = [
        _vote(normalize(queries - mean, dim=1) @ train.T, train_labels, n_neighbours)
        for queries in test_embeddings.split(_QUERIES_AT_ONCE)
    ]
    return (torch.cat(predictions) == test_labels).double().mean().item()


def _vote(
    cosines: Float[Tensor, "test train"], labels: Int[Tensor, " train"], n_neighbours: int
) -> Int[Tensor, " test"]:
    cosine, neighbour = cosines.topk(min(n_neighbours, cosines.shape[1]), dim=1)
    # Of two labels with as many votes, the sum of cosines decides: it is scaled below one vote.
    vote = 1 + cosine.double() / (4 * cosine.shape[1])
    votes = torch.zeros(len(cosines), int(labels.max()) + 1, device=vote.device, dtype=vote.dtype)
    return votes.scatter_add_(1, labels[neighbour].long(), vote).argmax(1)
