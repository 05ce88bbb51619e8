"""CREMA-D: names such as 1001_DFA_ANG_XX.wav say actor, sentence, emotion and its level."""

import re
from pathlib import Path, PurePosixPath

from byola_diff.corpora.group_split import split_groups
from byola_diff.corpora.layout import LayoutError, audio_below, read_columns
from byola_diff.tables.manifest import Clip

_ACTORS = {"train": 63, "valid": 9, "test": 19}
_NAME = re.compile(r"(?P<actor>\d{4})_[A-Z]{3}_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_[A-Z]{1,2}")


def cremad_clips(root: Path, split_file: Path | None, seed: int) -> list[Clip]:
    """Clips labelled with the emotion; the group is the actor.

    Without a file, 63, 9 and 19 of the 91 actors are drawn by the seed. EVAR's cremad.csv gives the
    actors of the papers; it may not be redistributed.
    """
    if split_file is not None:
        rows = read_columns(split_file, ("file_name", "split"))
        return [_clip(PurePosixPath(row["file_name"]).name, row["split"]) for row in rows]
    names = [PurePosixPath(file).name for file in audio_below(root, "AudioWAV")]
    split = split_groups({_parts(name)["actor"]: 1 for name in names}, _ACTORS, seed)
    return [_clip(name, split[_parts(name)["actor"]]) for name in names]


def _clip(name: str, split: str) -> Clip:
    parts = _parts(name)
    return Clip(f"AudioWAV/{name}", (parts["emotion"],), split=split, group=parts["actor"])


def _parts(name: str) -> re.Match[str]:
    match = _NAME.match(name)
    if match is None:
        raise LayoutError(f"{name!r} in AudioWAV is not named as 1001_DFA_ANG_XX.wav")
    return match
