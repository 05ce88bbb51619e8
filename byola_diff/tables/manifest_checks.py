"""Checks of a manifest that look beyond one cell: files on disk, duplicates, leaks, empty splits.

Each raises `ValueError`; `manifest.py` adds the path, and for `ClipFiles` the row.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from byola_diff.tables.manifest_table import FIRST_ROW, Clip


class ClipFiles:
    """Whether files exist below a root, links followed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real_root = root.resolve()
        self._real_folder = lru_cache(maxsize=None)(Path.resolve)

    def check(self, file: str) -> None:
        """Raise `ValueError` unless `file` names an existing file below the root."""
        if not file:
            raise ValueError("empty")
        if PurePosixPath(file).is_absolute() or PureWindowsPath(file).anchor:
            raise ValueError(f"{file!r} is absolute, not relative to {self.root}")
        if ".." in PureWindowsPath(file).parts:  # splits at both kinds of slash
            raise ValueError(f"{file!r} has '..'")
        path = self.root / file
        if not path.is_file():
            raise ValueError(f"no such file: {path}")
        # Folders are resolved once each: resolving takes longer than all other checks together.
        real = path.resolve() if path.is_symlink() else self._real_folder(path.parent)
        if not real.is_relative_to(self._real_root):
            raise ValueError(f"{file!r} leaves {self.root} through a link to {real}")


def check_files_once(clips: Sequence[Clip], column: str) -> None:
    """Raise `ValueError` if one stretch of a file occurs in two rows."""
    seen: dict[tuple[PurePosixPath, float | None], int] = {}
    for row, clip in enumerate(clips, start=FIRST_ROW):
        first = seen.setdefault((PurePosixPath(clip.file), clip.start_s), row)
        if first != row:
            where = "" if clip.start_s is None else f" from {clip.start_s} s on"
            what = f"{clip.file!r}{where} is in row {first} too"
            remedy = "parts of one file need a column start_s"
            raise ValueError(f"row {row}, column {column!r}: {what}; {remedy}")


def check_groups(clips: Sequence[Clip]) -> None:
    """Raise `ValueError` if a group has clips in two splits or in two folds."""
    for side in ("split", "fold"):
        seen: dict[str, tuple[int, str | int]] = {}
        for row, clip in enumerate(clips, start=FIRST_ROW):
            value = getattr(clip, side)
            if clip.group is None or value is None:
                continue
            first_row, first = seen.setdefault(clip.group, (row, value))
            if first != value:
                raise ValueError(
                    f"row {row}, column 'group': leaking group {clip.group!r}, "
                    f"in {side} {value} here and in {side} {first} in row {first_row}"
                )


def check_splits(clips: Sequence[Clip], required: Collection[str]) -> None:
    """Raise `ValueError` if a required split has no clips, or all clips share one fold."""
    present = {clip.split for clip in clips}
    if missing := [split for split in required if split not in present]:
        raise ValueError(f"column 'split': empty split, no row has {' or '.join(missing)}")
    folds = {clip.fold for clip in clips}
    if len(folds) == 1 and None not in folds:
        only = folds.pop()
        raise ValueError(f"column 'fold': only fold {only}, which leaves none to train on")
