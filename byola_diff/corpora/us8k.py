"""UrbanSound8K: metadata/UrbanSound8K.csv names file, class, fold and Freesound recording."""

from pathlib import Path

from byola_diff.corpora.fold_table import clips_in_folds
from byola_diff.tables.manifest import Clip


def us8k_clips(root: Path) -> list[Clip]:
    """Clips in their ten published folds; the group is the recording that a slice was cut from."""
    table, folder = root / "metadata" / "UrbanSound8K.csv", "audio/fold{fold}"
    return clips_in_folds(table, folder, file="slice_file_name", label="class", group="fsID")
