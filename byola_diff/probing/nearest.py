"""Nearest neighbours: a probe without training, cheap enough to run while an encoder trains."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from byola_diff.tables.manifest import Manifest

_QUERIES_AT_ONCE = 1024


def nearest_neighbour_accuracy(
    embeddings: Float[Tensor, "clip dim"], manifest: Manifest, n_neighbours: int = 5
) -> float:
    """Accuracy on "valid" (or "test" where there is none) by "train"; or the mean over the folds.

    Args:
        embeddings: One for each clip of the manifest, in their order.
        manifest: With splits or folds. Of several labels of a clip, the first counts.
        n_neighbours: Training clips that vote.

    Raises:
        ValueError: If there is no training side or nothing to judge by, or as `nearest_accuracy`.
    """
    if len(embeddings) != len(manifest.clips):
        raise ValueError(f"{len(embeddings)} embeddings for {len(manifest.clips)} clips")
    number = {label: place for place, label in enumerate(manifest.classes)}
    labels = torch.tensor([number[clip.labels[0]] for clip in manifest.clips])
    accuracies = [
        nearest_accuracy(
            embeddings[fit], labels[fit], embeddings[judge], labels[judge], n_neighbours
        )
        for fit, judge in judged_sides(manifest)
    ]
    return sum(accuracies) / len(accuracies)


def judged_sides(
    manifest: Manifest,
) -> list[tuple[Bool[Tensor, " clip"], Bool[Tensor, " clip"]]]:
    """Fitted and judged clips, once for splits or once per fold.

    Raises:
        ValueError: If there is nothing to fit or nothing to judge by.
    """
    if manifest.folds:
        fold = torch.tensor([-1 if clip.fold is None else clip.fold for clip in manifest.clips])
        return [(fold != name, fold == name) for name in manifest.folds]
    judged = "valid" if manifest.in_split("valid") else "test"
    for needed in ("train", judged):
        if not manifest.in_split(needed):
            raise ValueError(f"the manifest in {manifest.root} has no clip in split '{needed}'")
    fit, judge = (
        torch.tensor([clip.split == name for clip in manifest.clips]) for name in ("train", judged)
    )
    return [(fit, judge)]


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
