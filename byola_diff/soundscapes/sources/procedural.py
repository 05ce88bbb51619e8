"""Procedural sources for soundscapes, where no recordings are at hand.

Every file is rendered alone, so it depends on the seed, its label and its number, and on nothing
that is rendered beside it. A stopped run goes on with the files that are missing.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import torch
from tqdm import tqdm

from byola_diff.atomic import write_text
from byola_diff.audio.files import write_wav
from byola_diff.randomness import derive_seed
from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS, render
from byola_diff.soundscapes.sources.library import Library, Source
from byola_diff.workers import one_thread

Kind = Literal["events", "backgrounds"]

_KINDS = {"events": (FOREGROUNDS, 5.0), "backgrounds": (BACKGROUNDS, 12.0)}
"""Labels of each kind, and the usual length in seconds."""
_N_FOLDS = 5
_RECORD = "procedural.json"
_WAV_HEADER_BYTES = 44


class ProceduralSounds:
    """Sounds LABEL/LABEL_000.wav and so on: what there will be, and how it is written.

    Events are in one library named "", in five folds by turns; each begins between a tenth and half
    of its file. Stationary backgrounds are in two libraries, "dev" and "eval", in folders of these
    names, and none is in both.
    """

    def __init__(
        self,
        folder: Path | str,
        kind: Kind,
        *,
        per_label: int,
        seed: int,
        duration_s: float | None = None,
        sample_rate: int = 44_100,
        labels: Collection[str] | None = None,
    ) -> None:
        """Raise ValueError if a label is unknown, or there is nothing to write.

        Args:
            folder: Where the files go.
            kind: What they are.
            per_label: Files for each label, in each library.
            seed: The same seed gives the same bytes.
            duration_s: Length of each file; 5 s for events and 12 s for backgrounds if left out.
            sample_rate: Hz.
            labels: Some of those of the kind; all, if left out.
        """
        known, usual_s = _KINDS[kind]
        if unknown := sorted(set(labels or ()) - set(known)):
            raise ValueError(f"unknown labels {', '.join(unknown)}: there are {', '.join(known)}")
        self.folder, self.kind, self.per_label, self.seed = Path(folder), kind, per_label, seed
        self.labels = [label for label in known if labels is None or label in labels]
        self.duration_s = usual_s if duration_s is None else duration_s
        self.sample_rate = sample_rate
        self._n_samples = int(self.duration_s * sample_rate)
        if per_label < 1 or not self.labels or self._n_samples < 1:
            what = f"{per_label} sounds of {self.duration_s} s for {len(self.labels)} labels"
            raise ValueError(f"nothing to write: {what}")

    @property
    def libraries(self) -> dict[str, Library]:
        """What is or will be written, without a look at the files."""
        if self.kind == "events":
            return {"": self._library(self.folder, None)}
        return {part: self._library(self.folder / part, part) for part in ("dev", "eval")}

    def write(self) -> None:
        """Render the files that are missing or incomplete.

        Raises:
            ValueError: If the folder holds sounds of other settings, or other files.
        """
        self._begin()
        for part, library in self.libraries.items():
            seed = derive_seed(self.seed, f"procedural {self.kind}", *([part] if part else []))
            for source in tqdm(library.sources, library.root.name, unit="sound", disable=None):
                path = library.root / source.file
                if is_complete(path, self._n_samples):
                    continue
                index = torch.tensor([int(path.stem.rpartition("_")[2])])
                with one_thread():
                    sound = render([source.label], seed, index, self._n_samples, self.sample_rate)
                write_wav(path, sound[0].numpy(), self.sample_rate)

    def _begin(self) -> None:
        """Record what the folder holds, or check that it is this: other sounds have these names."""
        fields = ("kind", "seed", "per_label", "labels", "duration_s", "sample_rate")
        text = json.dumps({name: getattr(self, name) for name in fields}, indent=2) + "\n"
        record = self.folder / _RECORD
        if record.exists():
            if record.read_text(encoding="utf-8", errors="replace") != text:
                raise ValueError(
                    f"{self.folder} holds procedural sounds of other settings (see {record}): give "
                    "another --out, or remove it"
                )
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            raise ValueError(
                f"{self.folder} is not empty and holds no procedural sounds: give another --out"
            )
        else:
            write_text(record, text)

    def _library(self, root: Path, part: str | None) -> Library:
        length_s = self._n_samples / self.sample_rate
        sources = [
            Source(
                f"{label}/{label}_{number:03d}.wav",
                label,
                length_s,
                fold=None if part else 1 + number % _N_FOLDS,
                split=part,
            )
            for label in self.labels
            for number in range(self.per_label)
        ]
        return Library(root, tuple(sorted(sources, key=lambda source: source.file)))


def is_complete(path: Path, n_samples: int) -> bool:
    """Whether `write_wav` has written a file of so many samples."""
    return path.is_file() and path.stat().st_size == _WAV_HEADER_BYTES + 2 * n_samples
