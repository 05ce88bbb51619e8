"""Recordings by split and label, for pairs made from any labelled folders."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from byola_diff.randomness import derive_seed
from byola_diff.soundscapes.pairs.plan import EVAL_FOLD, SPLITS
from byola_diff.soundscapes.production.output_folder import listing
from byola_diff.soundscapes.sources.library import (
    Library,
    Source,
    read_esc50,
    read_folder,
    read_fsd50k,
)

_EVAL_SHARE = 0.2


@dataclass(frozen=True)
class Sounds:
    """Recordings of one role: for each split and label, prepared files and what they come from."""

    by_split: Mapping[str, Mapping[str, Mapping[str, Path]]]
    unreadable: tuple[str, ...] = ()
    """Files that were left out."""

    def only(self, label: str) -> "Sounds":
        """The recordings of one label; `ValueError` if a split has none."""
        for split, labels in self.by_split.items():
            if label not in labels:
                known = ", ".join(sorted(labels)) or "none"
                raise ValueError(f"no {label!r} in the {split} part; labels there: {known}")
        chosen = {split: {label: labels[label]} for split, labels in self.by_split.items()}
        return Sounds(chosen, self.unreadable)

    def listing(self) -> dict[str, Any]:
        """Number of recordings, and a hash of their splits, labels and names."""
        rows = []
        for split, labels in self.by_split.items():
            rows += [[split, label, file] for label, files in labels.items() for file in files]
        return listing(sorted(rows))


def read_sounds(folder: Path, seed: int = 0) -> Sounds:
    """Recordings of ESC-50's or FSD50K's layout, or of a folder with one folder per label.

    FSD50K brings its own splits; of ESC-50, fold 5 is for eval. Of other labels a fifth of the
    recordings is, by a hash of the seed and the name; a label with one recording is for dev.

    Raises:
        ValueError: If there is nothing, files lie outside the folders of labels, or two have one
            name.
    """
    if (folder / "FSD50K.ground_truth").is_dir():
        return split_sounds(read_fsd50k(folder).values(), seed)
    is_esc50 = (folder / "meta" / "esc50.csv").is_file() or (folder / "manifest.csv").is_file()
    return split_sounds([(read_esc50 if is_esc50 else read_folder)(folder)], seed)


def split_sounds(libraries: Collection[Library], seed: int = 0) -> Sounds:
    """Recordings of libraries by split, their own if they have some. Errors: `read_sounds`."""
    by_split: dict[str, dict[str, dict[str, Path]]] = {split: {} for split in SPLITS}
    for library in libraries:
        homes = _homes(library, seed)
        for source in library.sources:
            if not source.label:
                raise ValueError(
                    f"{library.root / source.file} lies in no folder with a label: put recordings "
                    "in one folder per label"
                )
            files = by_split[homes[source.file]].setdefault(source.label, {})
            name = _prepared_name(source)
            if name in files:
                raise ValueError(f"{library.root}: {source.file} becomes {name}, as another does")
            files[name] = library.root / source.file
    left_out = [str(one.root / file) for one in libraries for file, _ in one.unreadable_files]
    return Sounds(by_split, tuple(sorted(left_out)))


def _homes(library: Library, seed: int) -> dict[str, str]:
    """Split of each file."""
    first_names: dict[Path, str] = {}
    homes: dict[str, str] = {}
    others: dict[str, dict[str, list[str]]] = {}
    for source in library.sources:
        if source.split is not None:
            homes[source.file] = "eval" if source.split in ("eval", "test") else "dev"
        elif source.fold is not None:
            homes[source.file] = "eval" if source.fold == EVAL_FOLD else "dev"
        else:
            # Cuts of one recording stay together, and so do links to one file.
            real = (library.root / source.file).resolve()
            recording = source.group or first_names.setdefault(real, source.file)
            others.setdefault(source.label, {}).setdefault(recording, []).append(source.file)
    for recordings in others.values():
        n = len(recordings)
        # Two at least, where dev keeps as many: a bed has two backgrounds.
        n_eval = max(round(_EVAL_SHARE * n), min(2, n // 2))
        ranked = sorted(recordings, key=lambda name: derive_seed(seed, "apwd split", name))
        for rank, name in enumerate(ranked):
            homes |= dict.fromkeys(recordings[name], "eval" if rank < n_eval else "dev")
    return homes


def _prepared_name(source: Source) -> str:
    """Label and one file name: Scaper finds sources by these two alone."""
    path = PurePosixPath(source.file)
    name = "_".join(path.parts[1:]) or path.name
    return f"{source.label}/{name if path.suffix.lower() == '.wav' else name + '.wav'}"
