"""Which clips a page shows: the audio files below a folder, with labels where a table has them."""

from collections import defaultdict
from pathlib import Path

from byola_diff.audio.find import find_audio
from byola_diff.tables.manifest import Clip, Manifest, read_manifest


def clips_of(folder: Path, labels: Path | None = None) -> Manifest:
    """Each audio file below the folder, whole, or in the parts that a manifest of labels names.

    The manifest needs no column of splits or folds. Files without a row in it have no label, and
    rows of files elsewhere are passed over.

    Raises:
        NotADirectoryError: If there is no such folder.
        ManifestError: If the manifest can't be used.
        ValueError: If there are no audio files, or no row is of one of them.
    """
    paths = find_audio(folder)
    if not paths:
        raise ValueError(f"no audio files in {folder}")
    rows_of: dict[Path, list[Clip]] = defaultdict(list)
    if labels is not None:
        manifest = read_manifest(labels, with_splits=False)
        for clip in manifest.clips:
            rows_of[manifest.path(clip).resolve()].append(clip)
    clips = [clip for path in paths for clip in _clips_of_file(path, folder, rows_of)]
    if labels is not None and not any(clip.labels for clip in clips):
        raise ValueError(f"{labels}: none of its rows is of a file in {folder}")
    classes = {label for clip in clips for label in clip.labels}
    return Manifest(folder, tuple(clips), tuple(sorted(classes)))


def _clips_of_file(path: Path, folder: Path, rows_of: dict[Path, list[Clip]]) -> list[Clip]:
    file = path.relative_to(folder).as_posix()
    rows = sorted(rows_of.get(path.resolve(), ()), key=lambda clip: clip.start_s or 0.0)
    labelled = [
        Clip(file, clip.labels, start_s=clip.start_s, duration_s=clip.duration_s) for clip in rows
    ]
    return labelled or [Clip(file, ())]
