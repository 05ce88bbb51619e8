"""Which clips a probe is trained, judged and tested on: the splits of a manifest, or its folds."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from byola_diff.tables.manifest import Clip, Manifest


@dataclass(frozen=True)
class Part:
    """One training and its test, as places of clips in the manifest."""

    name: str
    """ "test", or "fold 1"."""
    train: Int[np.ndarray, " train"]
    valid: Int[np.ndarray, " valid"]
    """Empty if the manifest has none: a share of `train` is then taken."""
    test: Int[np.ndarray, " test"]


def probe_parts(manifest: Manifest) -> list[Part]:
    """The official split; where clips have none, each fold in turn as the test of all others.

    Raises:
        ValueError: If neither every clip has a split nor every clip a fold, a part is empty, or a
            label that is to be predicted has no training clip.
    """
    clips = manifest.clips
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
