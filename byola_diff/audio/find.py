"""Audio files below a folder, by the endings of their names."""

import os
import warnings
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from byola_diff.audio.other_decoder import OTHER_SUFFIXES

AUDIO_SUFFIXES = {
    *(".wav", ".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".au", ".caf"),
    *(".snd", ".sph", ".nist", ".voc", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2"),
    # Found even where they can't be read: so that such files are reported, not overlooked.
    *OTHER_SUFFIXES,
}


def find_audio(root: Path | str) -> list[Path]:
    """All audio files below `root`, sorted by their path below it; hidden ones are skipped.

    Links to folders are followed, to each folder once: where it lies, or else by the first link.
    The order is that of the characters, the same on every system. A folder that can't be listed
    is warned of. A `~` at the start is the home folder.

    Raises:
        NotADirectoryError: If `root` is no folder.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise NotADirectoryError(f"no such folder: {root}")
    return [root / name for name in sorted(_walk(str(root)))]


def _walk(root: str) -> Iterator[str]:
    """Paths of audio files relative to the root, with `/` between the parts."""
    seen: set[tuple[int, int]] = set()
    folders, links = deque([(root, "")]), deque[tuple[str, str]]()
    while folders or links:  # links last, so that a folder has the name where it lies
        folder, prefix = (folders or links).popleft()
        try:
            about = os.stat(folder)  # noqa: PTH116
            if (about.st_dev, about.st_ino) in seen:
                continue
            seen.add((about.st_dev, about.st_ino))
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            shown = ascii(folder if len(folder) < 300 else f"{folder[:300]}...")
            warnings.warn(f"left out: folder {shown}: {error.strerror}", stacklevel=2)
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                where = links if entry.is_symlink() else folders
                where.append((entry.path, f"{prefix}{entry.name}/"))
            elif os.path.splitext(entry.name)[1].lower() in AUDIO_SUFFIXES:  # noqa: PTH122
                yield prefix + entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: found, and rejected when it is read
        return False
