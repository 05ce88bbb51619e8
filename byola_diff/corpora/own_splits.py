"""Data sets without a published split: by a file that the user has, or else by a seed.

Our own splits keep speakers, actors or tones on one side.
"""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from byola_diff.corpora.layout import LayoutError, audio_below, folders_in, read_columns, read_lines
from byola_diff.randomness import derive_seed
from byola_diff.tables.manifest import Clip

_CREMAD_NAME = re.compile(
    r"(?P<actor>\d{4})_[A-Z]{3}_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_[A-Z]{1,2}"
)
_VOXFORGE_LANGUAGES = ("de", "en", "es", "fr", "it", "ru")
_AFTER_SPEAKER = re.compile(r"-\d{8}.*")


def split_groups(sizes: Mapping[str, int], weights: Mapping[str, int], seed: int) -> dict[str, str]:
    """Split of each group, so that the sizes in the splits are near the ratio of the weights.

    The largest groups come first, in an order drawn by the seed among equals; each goes where most
    is lacking. If all sizes are 1 and the weights sum to their number, the splits are exact. The
    result does not depend on the order of `sizes`.
    """
    total, n_weights = sum(sizes.values()), sum(weights.values())
    filled = dict.fromkeys(weights, 0)
    chosen = {}
    for group in sorted(sizes, key=lambda g: (-sizes[g], derive_seed(seed, "group split", g))):
        # In whole numbers, as ties decided by rounding would differ between machines.
        lacking = {split: weights[split] * total - n_weights * filled[split] for split in weights}
        chosen[group] = max(lacking, key=lambda split: lacking[split])
        filled[chosen[group]] += sizes[group]
    return chosen


def cremad_clips(root: Path, split_file: Path | None, seed: int) -> list[Clip]:
    """Clips of CREMA-D labelled with the emotion; the group is the actor.

    Names such as 1001_DFA_ANG_XX.wav say actor, sentence, emotion and its level. Without a file,
    63, 9 and 19 of the 91 actors are drawn by the seed. EVAR's cremad.csv gives the actors of the
    papers; it may not be redistributed.
    """
    if split_file is not None:
        rows = read_columns(split_file, ("file_name", "split"))
        return [_cremad_clip(PurePosixPath(row["file_name"]).name, row["split"]) for row in rows]
    names = [PurePosixPath(file).name for file in audio_below(root, "AudioWAV")]
    actors = {_cremad_parts(name)["actor"]: 1 for name in names}
    split = split_groups(actors, {"train": 63, "valid": 9, "test": 19}, seed)
    return [_cremad_clip(name, split[_cremad_parts(name)["actor"]]) for name in names]


def _cremad_clip(name: str, split: str) -> Clip:
    parts = _cremad_parts(name)
    return Clip(f"AudioWAV/{name}", (parts["emotion"],), split=split, group=parts["actor"])


def _cremad_parts(name: str) -> re.Match[str]:
    match = _CREMAD_NAME.match(name)
    if match is None:
        raise LayoutError(f"{name!r} in AudioWAV is not named as 1001_DFA_ANG_XX.wav")
    return match


def surge_clips(root: Path, split_file: Path | None, seed: int) -> list[Clip]:
    """Notes of the Surge synthesiser labelled with their pitch; the group is the tone.

    Each tone has a folder, in it a file per note, named after the note. The published split is a
    list of tones; without it, as many tones are drawn by the seed.
    """
    notes = [PurePosixPath(file) for file in audio_below(root, ".")]
    if odd := [note for note in notes if len(note.parts) != 2]:
        raise LayoutError(f"{root / odd[0]} is not in a folder TONE with files NOTE.ogg")
    tones = sorted({note.parts[0] for note in notes})
    if split_file is None:
        weights = {"train": 1692, "valid": 195, "test": 197}
        split = split_groups(dict.fromkeys(tones, 1), weights, seed)
    else:
        split = _read_tones(split_file)
    if unknown := [tone for tone in tones if tone not in split]:
        raise LayoutError(f"{split_file} has no split for {len(unknown)} tones, as {unknown[0]!r}")
    return [
        Clip(str(note), (note.stem,), split=split[note.parts[0]], group=note.parts[0])
        for note in notes
    ]


def _read_tones(path: Path) -> dict[str, str]:
    """From tone to split: two columns below any header."""
    rows = list(csv.reader(read_lines(path)))[1:]
    if wrong := [row for row in rows if len(row) != 2]:
        raise LayoutError(f"{path}: {wrong[0]} is not a tone and its split")
    return dict(rows)


def voxforge_clips(root: Path, split_file: Path | None, seed: int) -> list[Clip]:
    """Utterances of VoxForge labelled with their language; the group is the speaker.

    A folder per language has the extracted archives of its speakers, named SPEAKER-DATE-xyz. Ours
    is disjoint in speakers, 70, 10 and 20 % of the clips of each language. A split file names files
    relative to `root`, with language and split: any layout will do.
    """
    if split_file is not None:
        rows = read_columns(split_file, ("file_name", "label", "split"))
        return [Clip(row["file_name"], (row["label"],), split=row["split"]) for row in rows]
    present = [name for name in folders_in(root) if name in _VOXFORGE_LANGUAGES]
    if not present:
        raise LayoutError(f"no folder {', '.join(_VOXFORGE_LANGUAGES)} in {root}")
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
    percent = {"train": 70, "valid": 10, "test": 20}
    return {
        speaker: split
        for group in sizes.values()
        for speaker, split in split_groups(group, percent, seed).items()
    }
