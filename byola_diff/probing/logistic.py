"""Linear probe: what a single linear layer can read from frozen embeddings.

Embeddings are standardised by the training part, and a multinomial logistic regression with an L2
penalty is fitted to it. The strength of the penalty is chosen on the validation part; where there
is none, inside the training part. The test part is only ever predicted.

Differs from EVAR (Niizumi et al.), which trains the layer by Adam with early stopping: the problem
is convex, so its optimum is found directly, and no seed or learning rate enters.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from byola_diff.optional import require
from byola_diff.probing.parts import Part, manifest_targets, probe_parts
from byola_diff.probing.standard import mean_and_deviation
from byola_diff.randomness import derive_seed
from byola_diff.tables.manifest import Manifest

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Weights of the data against the penalty, for embeddings of mean squared length 1."""

_INNER_PARTS = 4
_ENOUGH_CLIPS = 2000  # with so many, one inner part is enough to choose by

Clips = Int[np.ndarray, " _"]
"""Places of clips."""

Round = tuple[Clips, Clips]
"""Clips to fit to, and clips to judge by."""


def probe_manifest(
    embeddings: Float[np.ndarray, "clip dim"], manifest: Manifest
) -> dict[str, float]:
    """Accuracy on "test", or on each of "fold 1", "fold 2", ..., of a probe fitted to the others.

    Validation clips, if there are any, choose the strength of the penalty and nothing else.
    `embeddings` are those of the clips of the manifest, in their order.

    Raises:
        ValueError: If a value is not finite, or as `probe_parts`.
    """
    parts = probe_parts(manifest, "accuracy")
    targets = manifest_targets(manifest, "accuracy")(np.arange(len(manifest.clips))).numpy()
    if len(embeddings) != len(targets):
        raise ValueError(f"{len(embeddings)} embeddings for {len(targets)} clips")
    broken = np.flatnonzero(~np.isfinite(embeddings).all(axis=1)).tolist()
    if broken:
        raise ValueError(f"embeddings of {len(broken)} clips are NaN or infinite, as {broken[:5]}")
    return {part.name: _probe(embeddings, targets, part) for part in parts}


def _probe(
    embeddings: Float[np.ndarray, "clip dim"], targets: Int[np.ndarray, " clip"], part: Part
) -> float:
    features = _features(embeddings, part.train)
    given = [(part.train, part.valid)] if len(part.valid) else None
    rounds = given or _inner_rounds(targets, part.train)
    strength = _choose_strength(features, targets, rounds)
    [accuracy] = _accuracies(features, targets, (part.train, part.test), [strength])
    return accuracy


def _features(
    embeddings: Float[np.ndarray, "clip dim"], train: Clips
) -> Float[np.ndarray, "clip feature"]:
    """Embeddings standardised by the training part, of mean squared length 1, in few dimensions.

    With fewer training clips than dimensions, weights under an L2 penalty lie in the space that the
    clips span: turning to that space changes no prediction.
    """
    mean, deviation = mean_and_deviation(embeddings[train])
    standard = (embeddings.astype(np.float64) - mean) / deviation / embeddings.shape[1] ** 0.5
    if 2 * len(train) > embeddings.shape[1]:
        return standard
    basis, _ = np.linalg.qr(standard[train].T)  # [dim, training clip]
    return standard @ basis


def _inner_rounds(targets: Int[np.ndarray, " clip"], train: Clips) -> list[Round]:
    """Rounds inside the training part, in which each class has its usual share."""
    part = _stratified_parts(targets[train])
    n_rounds = 1 if len(train) >= _ENOUGH_CLIPS else _INNER_PARTS
    rounds = [(train[part != index], train[part == index]) for index in range(n_rounds)]
    return [(fit, judge) for fit, judge in rounds if len(set(targets[fit])) > 1 and len(judge)]


def _stratified_parts(targets: Int[np.ndarray, " clip"]) -> Int[np.ndarray, " clip"]:
    """Part 0.._INNER_PARTS - 1 of each clip; each class is dealt out in turn, in a random order."""
    rng = np.random.default_rng(derive_seed("inner parts"))
    order = rng.permutation(len(targets))
    order = order[np.argsort(targets[order], kind="stable")]
    parts = np.empty(len(targets), int)
    parts[order] = np.arange(len(targets)) % _INNER_PARTS
    return parts


def _choose_strength(
    features: np.ndarray, targets: Int[np.ndarray, " clip"], rounds: Sequence[Round]
) -> float:
    """The strength with the best mean accuracy; of equals the most regularised one."""
    if not rounds:  # too few clips to choose by
        return STRENGTHS[len(STRENGTHS) // 2]
    table = [_accuracies(features, targets, one, STRENGTHS) for one in rounds]
    return STRENGTHS[int(np.mean(table, axis=0).argmax())]


def _accuracies(
    features: np.ndarray,
    targets: Int[np.ndarray, " clip"],
    fit_and_judge: Round,
    strengths: Sequence[float],
) -> list[float]:
    """Accuracy of a regression for each strength, from low to high."""
    linear_model = require("sklearn.linear_model", "evaluate", "the probe by logistic regression")
    # Each fit starts from the one before it.
    regression = linear_model.LogisticRegression(max_iter=2000, tol=1e-4, warm_start=True)
    fit, judge = fit_and_judge
    accuracies = []
    for strength in strengths:
        regression.set_params(C=strength).fit(features[fit], targets[fit])
        accuracies.append(float(regression.score(features[judge], targets[judge])))
    return accuracies
