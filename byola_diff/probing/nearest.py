"""Nearest neighbours: a probe without training, cheap enough to run while an encoder trains."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from byola_diff.tables.manifest import Manifest, check_one_label

_QUERIES_AT_ONCE = 1024


def nearest_neighbour_accuracy(
    embeddings: Float[Tensor, "clip dim"], manifest: Manifest, n_neighbours: int = 5
) -> float:
    """Accuracy on "valid" (or "test" where there is none) by "train"; or the mean over the folds.

    `embeddings` are those of the clips, in their order; the nearest `n_neighbours` training clips
    vote.

    Raises:
        ValueError: As `judged_sides` and `nearest_accuracy`.
    """
    sides = judged_sides(manifest)
    number = {label: place for place, label in enumerate(manifest.classes)}
    labels = torch.tensor([number[clip.labels[0]] for clip in manifest.clips])
    accuracies = [
        nearest_accuracy(
            embeddings[fit], labels[fit], embeddings[judge], labels[judge], n_neighbours
        )
        for fit, judge in sides
    ]
    return sum(accuracies) / len(accuracies)


def judged_sides(
    manifest: Manifest,
) -> list[tuple[Bool[Tensor, " clip"], Bool[Tensor, " clip"]]]:
    """Fitted and judged clips, once for splits, or once per fold where there are none.

    Raises:
        ValueError: If there is nothing to fit or nothing to judge by, or a clip has several labels.
    """
    check_one_label(manifest.clips, "the nearest neighbours' vote")
    if manifest.folds and not any(clip.split for clip in manifest.clips):
        fold = torch.tensor([-1 if clip.fold is None else clip.fold for clip in manifest.clips])
        return [(fold != name, fold == name) for name in manifest.folds]
    sides = []
    for name in ("train", "valid" if manifest.in_split("valid") else "test"):
        if not manifest.in_split(name):
            raise ValueError(f"the manifest in {manifest.root} has no clip in split '{name}'")
        sides.append(torch.tensor([clip.split == name for clip in manifest.clips]))
    return [(sides[0], sides[1])]


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
        ValueError: If a side is empty, or a value is not finite.
    """
    if not len(train_embeddings) or not len(test_embeddings):
        raise ValueError(f"{len(train_embeddings)} training and {len(test_embeddings)} test clips")
    if not (train_embeddings.isfinite().all() and test_embeddings.isfinite().all()):
        raise ValueError("an embedding is NaN or infinite")
    mean = train_embeddings.mean(0)
    train = normalize(train_embeddings - mean, dim=1)
    n_labels, n_voters = int(train_labels.max()) + 1, min(n_neighbours, len(train))
    predictions = []
    for queries in test_embeddings.split(_QUERIES_AT_ONCE):
        cosine, neighbour = (normalize(queries - mean, dim=1) @ train.T).topk(n_voters, dim=1)
        # Of two labels with as many votes, the sum of cosines decides: it is scaled below one vote.
        vote = 1 + cosine.double() / (4 * n_voters)
        votes = torch.zeros(len(queries), n_labels, device=vote.device, dtype=vote.dtype)
        votes.scatter_add_(1, train_labels[neighbour].long(), vote)
        predictions.append(votes.argmax(1))
    return (torch.cat(predictions) == test_labels).double().mean().item()
