"""Audio files that training could not read: listed in the run folder, and counted."""

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from byola_diff.clips.rejected import RejectionLog


class ListRejectedFiles(pl.Callback):
    """Notes in `rejected.csv` each file that a batch had to do without, and why.

    Here rather than in the source: that one may live in several loader workers, of which each knows
    only its own part.
    """

    def __init__(self, folder: Path, n_clips: int, max_rejected: float) -> None:
        self.path = folder / "rejected.csv"
        self.rejections = RejectionLog(n_clips, max_rejected)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: Any, batch: dict[str, Any], batch_idx: int
    ) -> None:
        """Take in what came with the batch."""
        self.add(batch.get("rejected", []))

    def add(self, rejections: Iterable[tuple[str, str]]) -> None:
        """List and count files; each once, however often it is met.

        Raises:
            TooManyRejectedError: If more than the allowed share is rejected, with the list.
        """
        new = {file: reason for file, reason in rejections if file not in self.rejections.reasons}
        if not new:
            return
        if not self.rejections:
            file, reason = next(iter(new.items()))
            message = f"{file} can't be used ({reason}); another clip takes its place."
            print(f"{message} All such files are listed in {self.path}", file=sys.stderr)
        self._append(new)
        self.rejections.add(new.items())

    def _append(self, new: dict[str, str]) -> None:
        """Add rows; other processes and an earlier part of the run write to the same file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        listed = set()
        if self.path.exists():
            with self.path.open(newline="") as file:
                listed = {row[0] for row in csv.reader(file) if row}
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            if not listed:
                writer.writerow(["file", "reason"])
            writer.writerows(item for item in new.items() if item[0] not in listed)
