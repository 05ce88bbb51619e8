"""VoxForge, spoken language: a folder per language, in it the extracted archives of its speakers.

An archive is named SPEAKER-DATE-xyz. No split is published with the data: ours is disjoint in
speakers, 70, 10 and 20 % of the clips of each language.
"""

import re
from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath

from byola_diff.corpora.group_split import split_groups
from byola_diff.corpora.layout import LayoutError, audio_below, folders_in, read_columns
from byola_diff.tables.manifest import Clip

LANGUAGES = ("de", "en", "es", "fr", "it", "ru")

_PERCENT = {"train": 70, "valid": 10, "test": 20}
_AFTER_SPEAKER = re.compile(r"-\d{8}.*")


def voxforge_clips(root: Path, split_file: Path | None, seed: int) -> list[Clip]:
    """Utterances labelled with their language; the group is the speaker.

    A split file names files relative to `root`, with language and split: any layout will do.
    """
    if split_file is not None:
        rows = read_columns(split_file, ("file_name", "label", "split"))
        return [Clip(row["file_name"], (row["label"],), split=row["split"]) for row in rows]
    present = [name for name in folders_in(root) if name in LANGUAGES]
    if not present:
        raise LayoutError(f"no folder {', '.join(LANGUAGES)} in {root}")
    files = [PurePosixPath(file) for name in present for file in audio_below(root, name)]
    split = _split_speakers([(_speaker(file), file.parts[0]) for file in files], seed)
    return [
        Clip(str(file), (file.parts[0],), split=split[_speaker(file)], group=_speaker(file))
        for file in files
    ]


def _speaker(file: PurePosixPath) -> str:
    """Nobody knows who is anonymous: all such archives of a language stay together."""
    name = _AFTER_SPEAKER.sub("", file.parts[1]).casefold()
    return f"anonymous ({file.parts[0]})" if name == "anonymous" else name


def _split_speakers(spoken: list[tuple[str, str]], seed: int) -> dict[str, str]:
    """Split of each speaker, drawn within the language in which that speaker said most."""
    languages: dict[str, Counter[str]] = defaultdict(Counter)
    for speaker, language in spoken:
        languages[speaker][language] += 1
    sizes: dict[str, dict[str, int]] = defaultdict(dict)
    for speaker, counts in languages.items():
        main = min(counts, key=lambda language: (-counts[language], language))
        sizes[main][speaker] = counts.total()
    return {
        speaker: split
        for group in sizes.values()
        for speaker, split in split_groups(group, _PERCENT, seed).items()
    }
