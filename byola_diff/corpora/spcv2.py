"""Speech Commands v0.02: a folder per word; two lists name the clips for validation and test."""

from pathlib import Path, PurePosixPath

from byola_diff.corpora.layout import LayoutError, audio_below, folders_in, read_lines
from byola_diff.tables.manifest import Clip


def spcv2_clips(root: Path) -> list[Clip]:
    """Clips of the 35 words; what neither list names is for training. The group is the speaker.

    The folder _background_noise_ holds no words and is left out.
    """
    words = [name for name in folders_in(root) if not name.startswith("_")]
    split = {file: "train" for word in words for file in audio_below(root, word)}
    valid = read_lines(root / "validation_list.txt")
    test = read_lines(root / "testing_list.txt")
    if both := set(valid) & set(test):
        raise LayoutError(f"{root}: {sorted(both)[0]} is in validation_list.txt and testing_list")
    # Names of the lists without a file are kept: they are reported as missing.
    split |= dict.fromkeys(valid, "valid") | dict.fromkeys(test, "test")
    return [_clip(file, split[file]) for file in sorted(split)]


def _clip(file: str, split: str) -> Clip:
    path = PurePosixPath(file)
    return Clip(file, (path.parts[0],), split=split, group=path.stem.split("_nohash_")[0])
