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
        ValueError: If a clip has several labels, or neither split nor fold; and as the probe does.
    """
    several = [clip.file for clip in manifest.clips if len(clip.labels) != 1]
    if several:
        raise ValueError(f"accuracy needs one label per clip, {several[0]} has several")
    labels = [clip.labels[0] for clip in manifest.clips]
    split = [clip.split for clip in manifest.clips if clip.split is not None]
    if len(split) == len(labels):
        return {"test": probe_split(embeddings, labels, split)}
    fold = [clip.fold for clip in manifest.clips if clip.fold is not None]
    if len(fold) != len(labels):
        raise ValueError("the manifest gives not every clip a split, nor every clip a fold")
    return {
        f"fold {name}": accuracy for name, accuracy in probe_folds(embeddings, labels, fold).items()
    }
