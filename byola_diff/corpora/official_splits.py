"""Data sets with a published split: from the layout of their files to clips, split as published."""

import json
from pathlib import Path, PurePosixPath

from byola_diff.corpora.layout import (
    LayoutError,
    audio_below,
    folders_in,
    read_columns,
    read_lines,
    whole_number,
)
from byola_diff.tables.manifest import Clip

_GTZAN_LISTS = "https://github.com/jongpillee/music_dataset_split (GTZAN_split)"


def esc50_clips(root: Path) -> list[Clip]:
    """Clips of ESC-50 in their five folds; the group is the recording that a clip was cut from.

    `meta/esc50.csv` names file, category and fold of each clip. Where a copy lacks the column
    src_file, the recording is read from the name: 1-100032-A-0.wav is fold, recording, take, class.
    """
    table = root / "meta" / "esc50.csv"
    clips = []
    for row in read_columns(table, ("filename", "fold", "category")):
        fold = whole_number(row["fold"], table, f"fold of {row['filename']}")
        parts = row["filename"].split("-")
        if not row.get("src_file") and len(parts) < 2:
            example = f"{row['filename']} is not named as 1-100032-A-0.wav"
            raise LayoutError(f"{table} has no column src_file, or nothing in it, and {example}")
        group = row.get("src_file") or parts[1]
        clips.append(Clip(f"audio/{row['filename']}", (row["category"],), fold=fold, group=group))
    return clips


def us8k_clips(root: Path) -> list[Clip]:
    """Clips of UrbanSound8K in their ten folds; the group is the recording a slice was cut from.

    `metadata/UrbanSound8K.csv` names file, class, fold and Freesound recording.
    """
    table = root / "metadata" / "UrbanSound8K.csv"
    return [
        Clip(
            f"audio/fold{row['fold']}/{row['slice_file_name']}",
            (row["class"],),
            fold=whole_number(row["fold"], table, f"fold of {row['slice_file_name']}"),
            group=row["fsID"],
        )
        for row in read_columns(table, ("slice_file_name", "fold", "class", "fsID"))
    ]


def fsd50k_clips(root: Path) -> list[Clip]:
    """Clips of FSD50K in their published splits, most with several labels, the most specific first.

    `dev.csv` says train or val, `eval.csv` is the test set. Uploaders are not in these tables, so
    there is no group.
    """
    table = root / "FSD50K.ground_truth" / "dev.csv"
    splits = {"train": "train", "val": "valid"}
    clips = []
    for row in read_columns(table, ("fname", "labels", "split")):
        if row["split"] not in splits:
            raise LayoutError(f"{table}: {row['split']!r} is neither train nor val")
        clips.append(_fsd50k_clip("FSD50K.dev_audio", row, splits[row["split"]]))
    rows = read_columns(table.with_name("eval.csv"), ("fname", "labels"))
    return clips + [_fsd50k_clip("FSD50K.eval_audio", row, "test") for row in rows]


def _fsd50k_clip(folder: str, row: dict[str, str], split: str) -> Clip:
    return Clip(f"{folder}/{row['fname']}.wav", tuple(row["labels"].split(",")), split=split)


def spcv2_clips(root: Path) -> list[Clip]:
    """Clips of the 35 words of Speech Commands v0.02; the group is the speaker.

    Each word has a folder, and two lists name the clips for validation and test; what neither names
    is for training. The folder _background_noise_ holds no words and is left out.
    """
    words = [name for name in folders_in(root) if not name.startswith("_")]
    split = {file: "train" for word in words for file in audio_below(root, word)}
    valid = read_lines(root / "validation_list.txt")
    test = read_lines(root / "testing_list.txt")
    if both := set(valid) & set(test):
        raise LayoutError(f"{root}: {sorted(both)[0]} is in validation_list.txt and testing_list")
    # Names of the lists without a file are kept: they are reported as missing.
    split |= dict.fromkeys(valid, "valid") | dict.fromkeys(test, "test")
    paths = [PurePosixPath(file) for file in sorted(split)]
    return [
        Clip(str(p), (p.parts[0],), split=split[str(p)], group=p.stem.split("_nohash_")[0])
        for p in paths
    ]


def vc1_clips(root: Path) -> list[Clip]:
    """Utterances of VoxCeleb1 in their published splits, labelled with the speaker.

    `iden_split.txt` gives each utterance its split, 1 to 3. Development and test archives are
    unpacked into the same folder wav/: speakers of both are needed. There is no group: a speaker is
    a class here, so each occurs in all splits, and whether a video may is nowhere stated.
    """
    table = root / "iden_split.txt"
    splits = {"1": "train", "2": "valid", "3": "test"}
    clips = []
    for line in read_lines(table):
        number, _, file = (part.strip() for part in line.partition(" "))
        speaker, slash, _ = file.partition("/")
        if number not in splits or not slash:
            raise LayoutError(
                f"{table}: {line!r} is not '1 id10001/VIDEO/00001.wav' with 1, 2 or 3"
            )
        clips.append(Clip(f"wav/{file}", (speaker,), split=splits[number]))
    return clips


def gtzan_clips(root: Path) -> list[Clip]:
    """Tracks of GTZAN's three fault-filtered lists, which the user puts into `root`.

    No artist is on two sides, broken and repeated files are left out; files in none of the lists
    have no split. Tracks that are cut into pieces before the split leak: one author of public code
    saw accuracy fall by some 10 to 15 % once that was mended
    (github.com/Hguimaraes/gtzan.keras, issue 10).
    """
    clips = []
    for split in ("train", "valid", "test"):
        table = root / f"{split}_filtered.txt"
        if not table.is_file():
            raise LayoutError(f"no such file: {table}; get it from {_GTZAN_LISTS}")
        for line in read_lines(table):
            genre, slash, _ = line.partition("/")
            if not slash:
                raise LayoutError(f"{table.name}: {line!r} is not as blues/blues.00000.wav")
            clips.append(Clip(_gtzan_file(root, line), (genre,), split=split))
    return clips


def _gtzan_file(root: Path, line: str) -> str:
    """The track as it is there: the lists say .wav, the original archive has .au."""
    named = PurePosixPath("genres") / line
    present = [p for end in (".wav", ".au") if (root / (p := named.with_suffix(end))).is_file()]
    return str((present or [named])[0])


def nsynth_clips(root: Path) -> list[Clip]:
    """Notes of NSynth in their published splits, labelled with the instrument family.

    A folder per split has audio/ and examples.json. There is no group: only the instruments of
    train are promised to be in no other split.
    """
    return [clip for split in ("train", "valid", "test") for clip in _nsynth_split(root, split)]


def _nsynth_split(root: Path, split: str) -> list[Clip]:
    folder = f"nsynth-{split}"
    table = root / folder / "examples.json"
    try:
        families = {
            name: note["instrument_family_str"]
            for name, note in json.loads(table.read_text(encoding="utf-8")).items()
        }
    except FileNotFoundError as error:
        raise LayoutError(f"no such file: {table}") from error
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        reason = "is not a table of notes with instrument_family_str"
        raise LayoutError(f"{table} {reason}: {error!r}") from error
    return [
        Clip(f"{folder}/audio/{name}.wav", (family,), split=split)
        for name, family in sorted(families.items())
    ]
