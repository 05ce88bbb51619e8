"""VoxCeleb1, speaker identification: iden_split.txt gives each utterance its split, 1 to 3.

Development and test archives are unpacked into the same folder wav/: speakers of both are needed.
"""

from pathlib import Path

from byola_diff.corpora.layout import LayoutError, read_lines
from byola_diff.tables.manifest import Clip

_SPLITS = {"1": "train", "2": "valid", "3": "test"}


def vc1_clips(root: Path) -> list[Clip]:
    """Utterances in their published splits, labelled with the speaker.

    There is no group: a speaker is a class here, so each occurs in all splits, and whether a video
    may is nowhere stated.
    """
    table = root / "iden_split.txt"
    return [_clip(line, table) for line in read_lines(table)]


def _clip(line: str, table: Path) -> Clip:
    number, _, file = line.partition(" ")
    speaker, slash, _ = file.strip().partition("/")
    if number not in _SPLITS or not slash:
        raise LayoutError(f"{table}: {line!r} is not '1 id10001/VIDEO/00001.wav' with 1, 2 or 3")
    return Clip(f"wav/{file.strip()}", (speaker,), split=_SPLITS[number])
