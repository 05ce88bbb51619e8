"""FSD50K: ground_truth/dev.csv says train or val, eval.csv is the test set; several labels each."""

from pathlib import Path

from byola_diff.corpora.layout import LayoutError, read_columns
from byola_diff.tables.manifest import Clip

_SPLITS = {"train": "train", "val": "valid"}


def fsd50k_clips(root: Path) -> list[Clip]:
    """Clips in their published splits. Uploaders are not in these tables, so there is no group."""
    truth = root / "FSD50K.ground_truth"
    clips = []
    for row in read_columns(truth / "dev.csv", ("fname", "labels", "split")):
        if row["split"] not in _SPLITS:
            raise LayoutError(f"{truth / 'dev.csv'}: {row['split']!r} is neither train nor val")
        clips.append(_clip("FSD50K.dev_audio", row, _SPLITS[row["split"]]))
    rows = read_columns(truth / "eval.csv", ("fname", "labels"))
    return clips + [_clip("FSD50K.eval_audio", row, "test") for row in rows]


def _clip(folder: str, row: dict[str, str], split: str) -> Clip:
    return Clip(f"{folder}/{row['fname']}.wav", tuple(row["labels"].split(",")), split=split)
