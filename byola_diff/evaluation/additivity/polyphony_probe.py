"""The polyphony curve: what a linear probe hears of mixtures, by how many sources they have."""

import numpy as np
import torch
from jaxtyping import Bool, Float

from byola_diff.evaluation.additivity.embedded import Embed, embed_all
from byola_diff.evaluation.additivity.polyphony import SourcePool, mix_sources
from byola_diff.optional import require

_PENALTIES = 10.0 ** np.arange(-4, 3)
"""Penalties of ridge regression, in shares of the mean squared length of an embedding."""


def polyphony_curve(
    embed: Embed,
    pool: SourcePool,
    n_clips: int,
    seed: int,
    batch_size: int = 50,
    device: torch.device | str = "cpu",
) -> dict[int, float]:
    """Share of the k labels of a mixture that are among its k best scored ones, by k.

    One linear probe for all, trained on `n_clips` mixtures of 1, 2, ... sources in turn, and tested
    on as many of other clips. Chance is k / labels.

    Raises:
        ValueError: If there are fewer mixtures than numbers of sources, or an embedding is not
            finite.
    """
    if n_clips < pool.max_sources:
        raise ValueError(
            f"{n_clips} mixtures of 1 to {pool.max_sources} sources: use --polyphony-clips "
            f"{pool.max_sources} or more"
        )
    embedded, present = {}, {}
    for side in ("train", "test"):
        parts = []
        for start in range(0, n_clips, batch_size):
            rows = range(start, min(start + batch_size, n_clips))
            mixtures = mix_sources(pool, side, rows, seed)
            embeddings = embed_all(embed, mixtures.waveforms, batch_size, device)
            parts.append((embeddings.numpy(), mixtures.present.numpy()))
        embedded[side] = np.concatenate([part[0] for part in parts]).astype(np.float64)
        present[side] = np.concatenate([part[1] for part in parts])
    if not all(np.isfinite(embeddings).all() for embeddings in embedded.values()):
        raise ValueError("an embedding is NaN or infinite")
    scores = ridge_scores(embedded["train"], present["train"], embedded["test"])
    found = share_found(scores, present["test"])
    n_sources = present["test"].sum(1)
    return {
        number: float(found[n_sources == number].mean())
        for number in range(1, pool.max_sources + 1)
    }


def ridge_scores(
    train: Float[np.ndarray, "clip dim"],
    present: Bool[np.ndarray, "clip label"],
    test: Float[np.ndarray, "other dim"],
) -> Float[np.ndarray, "other label"]:
    """Scores of each label on `test`, by one ridge regression per label on its indicator.

    Embeddings are standardised by the training part. The penalty is the one with the smallest
    leave-one-out error there.

    Raises:
        ModuleNotFoundError: If scikit-learn is absent; it names the extra.
    """
    linear_model = require("sklearn.linear_model", "evaluate", "the polyphony probe")
    mean, deviation = train.mean(0), train.std(0)
    # Of a constant feature, rounding leaves a deviation that must not be divided by.
    deviation[deviation <= 1e-6 * np.abs(mean) + np.finfo(np.float64).tiny] = np.inf
    standard = (train - mean) / deviation
    # The mean squared singular value, of which a penalty is a share.
    size = float(np.square(standard).sum()) / min(standard.shape) or 1.0
    ridge = linear_model.RidgeCV(size * _PENALTIES).fit(standard, present.astype(np.float64))
    return ridge.predict((test - mean) / deviation)


def share_found(
    scores: Float[np.ndarray, "clip label"], present: Bool[np.ndarray, "clip label"]
) -> Float[np.ndarray, " clip"]:
    """Share of the k present labels that are among the k with the highest scores; ties are lost."""
    # Among equal scores, absent labels come first.
    order = np.lexsort((present, -scores), axis=1)
    ranked = np.take_along_axis(present, order, axis=1)
    n_present = present.sum(1)
    inside = np.arange(present.shape[1]) < n_present[:, None]
    return (ranked & inside).sum(1) / n_present
