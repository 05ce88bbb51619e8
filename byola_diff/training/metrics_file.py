"""The log of a run as a CSV file."""

import csv
from pathlib import Path
from typing import Any


class MetricsFile:
    """A CSV of one row per step that goes on where a resumed run does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, step: int, row: dict[str, Any]) -> None:
        """Add a row, and the header if it is the first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, ["step", *row])
            if is_new:
                writer.writeheader()
            writer.writerow({"step": step, **row})

    def truncate(self, step: int) -> None:
        """Drop the rows after `step`."""
        if not self.path.exists():
            return
        with self.path.open(newline="") as file:
            header, *rows = csv.reader(file)
        kept = [row for row in rows if int(row[0]) <= step]
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([header, *kept])
