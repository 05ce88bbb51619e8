"""The linear probe of a manifest: by its splits, or by its folds."""

import numpy as np
from jaxtyping import Float

from byola_diff.data.manifest import Manifest
from byola_diff.evaluation.linear_probe import probe_folds, probe_split


def probe_manifest(
    embeddings: Float[np.ndarray, "clip dim"], manifest: Manifest
) -> dict[str, float]:
    """Accuracy on "test", or on each of "fold 1", "fold 2", ...

    Args:
        embeddings: Of all clips, in their order.
        manifest: Has one label per clip, and splits or folds.

    Raises:
        ValueError: As `check_probe`, or as the probe does.
    """
    check_probe(manifest)
    labels = [clip.labels[0] for clip in manifest.clips]
    split = [clip.split for clip in manifest.clips if clip.split is not None]
    if len(split) == len(labels):
        return {"test": probe_split(embeddings, labels, split)}
    fold = [clip.fold for clip in manifest.clips if clip.fold is not None]
    return {
        f"fold {name}": accuracy for name, accuracy in probe_folds(embeddings, labels, fold).items()
    }


def check_probe(manifest: Manifest) -> None:
    """Do nothing if the manifest can be probed: before anything is embedded for it.

    Raises:
        ValueError: If a clip has several labels, neither every clip has a split nor every clip a
            fold, a split is empty, or a label to be predicted has no training clip.
    """
    several = [clip.file for clip in manifest.clips if len(clip.labels) != 1]
    if several:
        raise ValueError(f"accuracy needs one label per clip, {several[0]} has several")
    if all(clip.split is not None for clip in manifest.clips):
        parts = [(manifest.in_split("train"), manifest.in_split("valid"))]
        parts += [(manifest.in_split("train"), manifest.in_split("test"))]
        for needed in ("train", "test"):
            if not manifest.in_split(needed):
                raise ValueError(f"the manifest in {manifest.root} has no clip in split '{needed}'")
    elif all(clip.fold is not None for clip in manifest.clips):
        parts = [
            (
                [clip for clip in manifest.clips if clip.fold != fold],
                [clip for clip in manifest.clips if clip.fold == fold],
            )
            for fold in manifest.folds
        ]
    else:
        raise ValueError("the manifest gives not every clip a split, nor every clip a fold")
    for fit, judge in parts:
        unknown = {clip.labels[0] for clip in judge} - {clip.labels[0] for clip in fit}
        if unknown:
            raise ValueError(f"labels without a training clip: {sorted(unknown)}")
