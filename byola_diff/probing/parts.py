"""Which clips a probe is trained, validated and tested on, and what it is to predict of them.

Clips are known by their places in the manifest. Tasks without validation clips of their own have
some carved out of the training clips.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int

from byola_diff.probing.stacks import Targets
from byola_diff.randomness import derive_seed
from byola_diff.tables.manifest import Clip, Manifest

Metric = Literal["accuracy", "mAP"]

TargetsOf = Callable[[Int[np.ndarray, " clip"]], Targets]
"""Targets of the clips at these places."""

Carved = tuple[Int[np.ndarray, " train"], Int[np.ndarray, " valid"]]
"""Training and validation clips."""

_TRIES = 100


@dataclass(frozen=True)
class Part:
    """One training and its test, as places of clips in the manifest."""

    name: str
    """ "test", or "fold 1"."""
    train: Int[np.ndarray, " train"]
    valid: Int[np.ndarray, " valid"]
    """Empty if the manifest has none: a share of `train` is then taken."""
    test: Int[np.ndarray, " test"]


def probe_parts(manifest: Manifest, metric: Metric) -> list[Part]:
    """The official split; where clips have none, each fold in turn as the test of all others.

    Raises:
        ValueError: If neither every clip has a split nor every clip a fold, a part is empty, a
            label that is to be predicted has no training clip, or accuracy is asked of clips with
            several labels.
    """
    clips = manifest.clips
    several = [clip.file for clip in clips if len(clip.labels) != 1]
    if metric == "accuracy" and several:
        raise ValueError(f"accuracy needs one label per clip, {several[0]} has several")
    if all(clip.split is not None for clip in clips):
        split = np.array([clip.split for clip in clips])
        places = {name: np.flatnonzero(split == name) for name in ("train", "valid", "test")}
        for needed in ("train", "test"):
            if not len(places[needed]):
                raise ValueError(f"the manifest in {manifest.root} has no clip in split '{needed}'")
        parts = [Part("test", **places)]
    elif all(clip.fold is not None for clip in clips):
        fold = np.array([clip.fold for clip in clips])
        nobody = np.empty(0, int)
        parts = [
            Part(f"fold {name}", np.flatnonzero(fold != name), nobody, np.flatnonzero(fold == name))
            for name in manifest.folds
        ]
    else:
        raise ValueError("the manifest gives not every clip a split, nor every clip a fold")
    for part in parts:
        _check_labels(part, clips)
    return parts


def manifest_targets(manifest: Manifest, metric: Metric) -> TargetsOf:
    """Targets of the clips of a manifest, by the sorted order of its classes."""
    number = {label: place for place, label in enumerate(manifest.classes)}

    def targets_of(places: Int[np.ndarray, " clip"]) -> Targets:
        labels = [manifest.clips[place].labels for place in places]
        if metric == "accuracy":
            return torch.tensor([number[names[0]] for names in labels], dtype=torch.long)
        targets = torch.zeros(len(labels), len(number))
        for row, names in enumerate(labels):
            targets[row, [number[name] for name in names]] = 1
        return targets

    return targets_of


def carve_validation(part: Part, targets_of: TargetsOf, share: float, seed: int) -> Carved:
    """Training and validation clips out of the training clips.

    Random, drawn again until every class is on both sides; the last of 100 draws stands, as in
    EVAR, but never one that leaves nothing to train on.
    """
    targets = targets_of(part.train)
    n_valid = max(1, round(share * len(part.train)))
    if n_valid >= len(part.train):
        raise ValueError(f"{part.name}: {len(part.train)} training clips leave none to validate by")
    rng = np.random.default_rng(derive_seed("probe validation", seed, part.name))
    n_classes = _n_present(targets)
    tries = _TRIES if n_classes <= n_valid else 1  # so few clips can't have every class
    train = valid = np.arange(0)
    for _ in range(tries):
        valid, train = np.split(rng.permutation(len(part.train)), [n_valid])
        if all(_n_present(targets[side]) == n_classes for side in (train, valid)):
            break
    return part.train[train], part.train[valid]


def carve_stratified(part: Part, targets_of: TargetsOf, share: float, seed: int) -> Carved:
    """As `carve_validation`, but every class gives its share, give or take one clip.

    Each class first gives the whole clips of its share: a tenth of 14, 16 and 30 clips are 1, 1 and
    3. The clip that is still lacking to a tenth of all 60 comes from the class that lacks most of
    its share, the second; between equal ones a draw decides. No class gives its last clip.
    Differs from scikit-learn's stratified split, which may take the only clip of a class.

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
    sizes = np.array([len(places) for places in members])
    spare = sizes - 1
    counts = np.minimum(np.floor(share * sizes).astype(int), spare)
    n_lacking = max(1, round(share * len(part.train))) - int(counts.sum())
    order = np.lexsort((rng.random(len(members)), counts - share * sizes))
    counts[[place for place in order if counts[place] < spare[place]][: max(0, n_lacking)]] += 1
    if not counts.any():
        raise ValueError(f"{part.name}: no class has a training clip to spare for validation")
    valid = np.concatenate([places[:count] for places, count in zip(members, counts, strict=True)])
    return np.delete(part.train, valid), part.train[valid]


def _check_labels(part: Part, clips: tuple[Clip, ...]) -> None:
    known = {label for place in part.train for label in clips[place].labels}
    if len(known) < 2:
        raise ValueError(f"{part.name}: training clips have fewer than two labels: {sorted(known)}")
    judged = np.concatenate([part.valid, part.test])
    unknown = {label for place in judged for label in clips[place].labels} - known
    if unknown:
        raise ValueError(
            f"{part.name}: labels without a training clip: {sorted(unknown)}; leave their clips "
            "out, or correct the labels"
        )


def _n_present(targets: Targets) -> int:
    if targets.ndim == 2:
        return int((targets.sum(0) > 0).sum())
    return len(targets.unique())
