"""Validation clips for tasks that have none of their own."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int

from byola_diff.probing.linear_stack import Targets
from byola_diff.probing.parts import Part
from byola_diff.randomness import derive_seed

TargetsOf = Callable[[Int[np.ndarray, " clip"]], Targets]
"""Targets of the clips at these places."""

_TRIES = 100


def carve_validation(
    part: Part, targets_of: TargetsOf, share: float, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " valid"]]:
    """Training and validation clips out of the training clips.

    Random, drawn again until every class is on both sides; the last of 100 draws stands, as in
    EVAR, but never one that leaves nothing to train on.
    """
    targets = targets_of(part.train)
    n_valid = max(1, round(share * len(part.train)))
    if n_valid >= len(part.train):
        raise ValueError(f"{part.name}: {len(part.train)} training clips leave none to validate by")
    rng = np.random.default_rng(derive_seed("probe validation", seed, part.name))
    order = np.arange(len(part.train))
    n_classes = _n_present(targets)
    tries = _TRIES if n_classes <= n_valid else 1  # so few clips can't have every class
    for _ in range(tries):
        order = rng.permutation(len(part.train))
        sides = (order[n_valid:], order[:n_valid])
        if all(_n_present(targets[side]) == n_classes for side in sides):
            break
    return part.train[order[n_valid:]], part.train[order[:n_valid]]


def carve_stratified(
    part: Part, targets_of: TargetsOf, share: float, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " valid"]]:
    """As `carve_validation`, but every class gives its share, give or take one clip.

    What whole clips leave over goes to the classes that lack most of their share, and between equal
    ones by the draw. No class gives its last clip.

    Raises:
        ValueError: If clips have several labels, or no class has a clip to spare.
    """
    targets = targets_of(part.train)
    if targets.ndim == 2:
        raise ValueError(f"{part.name}: shares of classes need one label per clip")
    rng = np.random.default_rng(derive_seed("stratified validation", seed, part.name))
    members = [
        rng.permutation(np.flatnonzero(targets.numpy() == label)) for label in targets.unique()
    ]
    spare = np.array([len(places) - 1 for places in members])
    counts = np.minimum(np.floor([share * len(places) for places in members]).astype(int), spare)
    lacking = np.array([share * len(places) for places in members]) - counts
    n_over = max(1, round(share * len(part.train))) - int(counts.sum())
    order = np.lexsort((rng.random(len(members)), -lacking))
    counts[[place for place in order if counts[place] < spare[place]][: max(0, n_over)]] += 1
    if not counts.any():
        raise ValueError(f"{part.name}: no class has a training clip to spare for validation")
    valid = np.concatenate([places[:count] for places, count in zip(members, counts, strict=True)])
    return np.delete(part.train, valid), part.train[valid]


def _n_present(targets: Targets) -> int:
    if targets.ndim == 2:
        return int((targets.sum(0) > 0).sum())
    return len(targets.unique())
