"""The linear probe of a manifest: by its splits, or by its folds."""

import numpy as np
from jaxtyping import Float

from byola_diff.probing.logistic import probe_folds, probe_split
from byola_diff.probing.parts import probe_parts
from byola_diff.probing.probe_task import manifest_targets
from byola_diff.tables.manifest import Manifest


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
    probe_parts(manifest)
    manifest_targets(manifest, "accuracy")
