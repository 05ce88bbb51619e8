"""Linear probe: what a single linear layer can read from frozen embeddings.

Embeddings are standardised by the training part, and a multinomial logistic regression with an L2
penalty is fitted to it. The strength of the penalty is chosen on the validation part; where there
is none, inside the training part. The test part is only ever predicted.

Differs from EVAR (Niizumi et al.), which trains the layer by Adam with early stopping: the problem
is convex, so its optimum is found directly, and no seed or learning rate enters.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from byola_diff.randomness import derive_seed

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Weights of the data against the penalty, for embeddings of mean squared length 1."""

_INNER_PARTS = 4
_ENOUGH_CLIPS = 2000  # with so many, one inner part is enough to choose by


def probe_split(
    embeddings: Float[np.ndarray, "clip dim"], labels: Sequence[str], split: Sequence[str]
) -> float:
    """Accuracy on the clips whose split is "test", of a probe fitted to those of "train".

    Clips of "valid", if there are any, choose the strength of the penalty and nothing else.

    Raises:
        ValueError: If there are no training or test clips, fewer than two classes, a split of
            another name, a label that training has not, or a value that is not finite.
    """
    _check(embeddings, labels, split)
    unknown = sorted(set(split) - {"train", "valid", "test"})
    if unknown:
        raise ValueError(f"splits are train, valid and test, not {unknown}")
    parts = {
        name: np.array([part == name for part in split]) for name in ("train", "valid", "test")
    }
    return _probe(embeddings, np.asarray(labels), parts["train"], parts["valid"], parts["test"])


def probe_folds(
    embeddings: Float[np.ndarray, "clip dim"], labels: Sequence[str], fold: Sequence[Hashable]
) -> dict[Hashable, float]:
    """Accuracy on each fold, of a probe fitted to all others, in the order of the folds.

    Raises:
        ValueError: If there is one fold only, fewer than two classes, a label that is in one fold
            alone, or a value that is not finite.
    """
    _check(embeddings, labels, fold)
    names: list[Any] = sorted(set(fold))
    if len(names) < 2:
        raise ValueError(f"need at least two folds, not {names}")
    nobody = np.zeros(len(labels), bool)
    accuracies = {}
    for name in names:
        test = np.array([part == name for part in fold])
        accuracies[name] = _probe(embeddings, np.asarray(labels), ~test, nobody, test)
    return accuracies


def _check(embeddings: np.ndarray, labels: Sequence[str], part: Sequence[Hashable]) -> None:
    if not len(embeddings) == len(labels) == len(part):
        raise ValueError(
            f"{len(embeddings)} embeddings, {len(labels)} labels and {len(part)} parts: "
            "there must be one each per clip"
        )
    broken = np.flatnonzero(~np.isfinite(embeddings).all(axis=1)).tolist()
    if broken:
        raise ValueError(f"embeddings of {len(broken)} clips are NaN or infinite, as {broken[:5]}")


def _probe(
    embeddings: Float[np.ndarray, "clip dim"],
    labels: np.ndarray,
    train: Bool[np.ndarray, " clip"],
    valid: Bool[np.ndarray, " clip"],
    test: Bool[np.ndarray, " clip"],
) -> float:
    for name, part in (("training", train), ("test", test)):
        if not part.any():
            raise ValueError(f"the {name} part is empty")
    unknown = sorted(set(labels[test | valid].tolist()) - set(labels[train].tolist()))
    if unknown:
        raise ValueError(f"labels without a training clip: {unknown}")
    if len(set(labels[train])) < 2:
        raise ValueError("all training clips have one label: there is nothing to tell apart")
    features = _features(embeddings, train)
    rounds = [(train, valid)] if valid.any() else _inner_rounds(labels, train)
    strength = _choose_strength(features, labels, rounds)
    [accuracy] = _accuracies(features, labels, train, test, [strength])
    return accuracy


def _features(
    embeddings: Float[np.ndarray, "clip dim"], train: Bool[np.ndarray, " clip"]
) -> Float[np.ndarray, "clip feature"]:
    """Embeddings standardised by the training part, of mean squared length 1, in few dimensions.

    With fewer training clips than dimensions, weights under an L2 penalty lie in the space that the
    clips span: turning to that space changes no prediction.
    """
    fitted = embeddings[train].astype(np.float64)
    deviation = fitted.std(axis=0)
    deviation[deviation == 0] = 1
    standard = (embeddings - fitted.mean(axis=0)) / deviation / embeddings.shape[1] ** 0.5
    if 2 * len(fitted) > embeddings.shape[1]:
        return standard
    basis, _ = np.linalg.qr(standard[train].T)  # [dim, training clip]
    return standard @ basis


def _inner_rounds(
    labels: np.ndarray, train: Bool[np.ndarray, " clip"]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of fitted and judged clips inside the training part, with each label's usual share."""
    part = np.full(len(labels), -1)
    part[train] = _stratified_parts(labels[train])
    n_rounds = 1 if train.sum() >= _ENOUGH_CLIPS else _INNER_PARTS
    rounds = [(train & (part != index), part == index) for index in range(n_rounds)]
    return [(fit, judge) for fit, judge in rounds if len(set(labels[fit])) > 1 and judge.any()]


def _stratified_parts(labels: np.ndarray) -> Int[np.ndarray, " clip"]:
    """Part 0.._INNER_PARTS - 1 of each clip; each label is dealt out in turn, in a random order."""
    rng = np.random.default_rng(derive_seed("inner parts"))
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    parts = np.empty(len(labels), int)
    parts[order] = np.arange(len(labels)) % _INNER_PARTS
    return parts


def _choose_strength(
    features: np.ndarray, labels: np.ndarray, rounds: list[tuple[np.ndarray, np.ndarray]]
) -> float:
    """The strength with the best mean accuracy; of equals the most regularised one."""
    if not rounds:  # too few clips to choose by
        return STRENGTHS[len(STRENGTHS) // 2]
    table = [_accuracies(features, labels, fit, judge, STRENGTHS) for fit, judge in rounds]
    return STRENGTHS[int(np.mean(table, axis=0).argmax())]


def _accuracies(
    features: np.ndarray,
    labels: np.ndarray,
    fit: Bool[np.ndarray, " clip"],
    judge: Bool[np.ndarray, " clip"],
    strengths: Sequence[float],
) -> list[float]:
    """Accuracy on `judge` of a regression fitted to `fit`, for each strength from low to high."""
    # Each fit starts from the one before it.
    regression = _logistic_regression()(max_iter=2000, tol=1e-4, warm_start=True)
    accuracies = []
    for strength in strengths:
        regression.set_params(C=strength).fit(features[fit], labels[fit])
        accuracies.append(float(np.mean(regression.predict(features[judge]) == labels[judge])))
    return accuracies


def _logistic_regression() -> Any:
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the linear probe needs scikit-learn: pip install 'byola-diff[evaluate]'"
        ) from error
    return LogisticRegression
