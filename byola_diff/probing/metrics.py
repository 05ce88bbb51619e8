"""Metrics of classification: scores in, one number out. All are higher for better predictions.

Those of several labels are macro averages: every class weighs the same, however rare it is. Only
classes that occur enter; a class without a positive clip (for AUC and d', or without a negative
one) says nothing about the scores. Differs from HEAR's kit, where such a class counts 0 in mAP and
makes AUC and d' undefined; no published task has one.

All raise ValueError if there are no clips or a score is NaN; those of several labels also if a
target is not 0 or 1, or no class has the clips that the metric needs. Differs from scikit-learn's
in speed alone: they are computed for each probe after each epoch, and take a twentieth of the time.
"""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int, Shaped


def accuracy(scores: Float[np.ndarray, "clip class"], target: Int[np.ndarray, " clip"]) -> float:
    """Share of clips whose class has the highest score; of equal scores the first counts."""
    _check(scores, target)
    return float(np.mean(scores.argmax(axis=1) == target))


def chroma_accuracy(
    scores: Float[np.ndarray, "clip class"],
    target: Int[np.ndarray, " clip"],
    pitch: Int[np.ndarray, " class"] | None = None,
) -> float:
    """Share of clips whose class with the highest score is the right note in any octave.

    `pitch` is the semitone of each class: its index if None, as in HEAR, which takes no gaps.
    """
    _check(scores, target)
    note = np.arange(scores.shape[1]) if pitch is None else pitch
    return float(np.mean(note[scores.argmax(axis=1)] % 12 == note[target] % 12))


def mean_average_precision(
    scores: Float[np.ndarray, "clip class"], multi_hot: Shaped[np.ndarray, "clip class"]
) -> float:
    """Mean of the average precision of each class that has a positive clip.

    Clips of one score are retrieved together, as scikit-learn does: their order does not matter.
    """
    return _macro(_average_precision, scores, multi_hot, needs_negatives=False)


def auc_roc(
    scores: Float[np.ndarray, "clip class"], multi_hot: Shaped[np.ndarray, "clip class"]
) -> float:
    """Mean over classes of the chance that a positive clip scores above a negative one.

    Equal scores count half. Classes without a positive or without a negative clip are left out.
    """
    return _macro(_auc, scores, multi_hot, needs_negatives=True)


def d_prime(
    scores: Float[np.ndarray, "clip class"], multi_hot: Shaped[np.ndarray, "clip class"]
) -> float:
    """Mean over classes of sqrt(2) times the normal quantile of the AUC.

    Differs from HEAR's kit: an AUC of 1 (or 0) would make it infinite, so it is taken as if half a
    pair of clips were ranked the other way.
    """
    return _macro(_d_prime, scores, multi_hot, needs_negatives=True)


def _macro(
    of_class: Callable[[np.ndarray, np.ndarray], float],
    scores: Float[np.ndarray, "clip class"],
    multi_hot: Shaped[np.ndarray, "clip class"],
    needs_negatives: bool,
) -> float:
    """Mean of the metric over the classes that it is defined for."""
    _check(scores, multi_hot)
    positive = multi_hot == 1
    if not (positive | (multi_hot == 0)).all():
        raise ValueError("targets of several labels must be 0 or 1")
    used = positive.any(axis=0)
    if needs_negatives:
        used &= ~positive.all(axis=0)
    if not used.any():
        raise ValueError("no class has the clips that the metric needs: the labels are all alike")
    columns = np.flatnonzero(used)
    return float(np.mean([of_class(scores[:, one], positive[:, one]) for one in columns]))


def _average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    # Precision among all clips that score at least as high as each positive one, averaged.
    hits = np.sort(scores[positive])
    n_retrieved = len(scores) - np.searchsorted(np.sort(scores), hits)
    n_hits = len(hits) - np.searchsorted(hits, hits)
    return float(np.mean(n_hits / n_retrieved))


def _auc(scores: np.ndarray, positive: np.ndarray) -> float:
    hits, others = scores[positive], np.sort(scores[~positive])
    below = np.searchsorted(others, hits, side="left")
    not_above = np.searchsorted(others, hits, side="right")
    return float(np.mean(below + not_above) / 2 / len(others))


def _d_prime(scores: np.ndarray, positive: np.ndarray) -> float:
    half_pair = 0.5 / positive.sum() / (~positive).sum()
    auc = min(max(_auc(scores, positive), half_pair), 1 - half_pair)
    return 2**0.5 * NormalDist().inv_cdf(auc)


def _check(scores: np.ndarray, targets: np.ndarray) -> None:
    if len(scores) != len(targets):
        raise ValueError(f"{len(scores)} rows of scores for {len(targets)} targets")
    if not scores.size:
        raise ValueError("there are no clips to score")
    if np.isnan(scores).any():
        n_broken = int(np.isnan(scores).any(axis=1).sum())
        raise ValueError(f"scores of {n_broken} clips are NaN: did the training diverge?")
