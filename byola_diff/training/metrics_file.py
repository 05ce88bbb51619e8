"""The log of a run as a CSV file."""

import csv
import io
from pathlib import Path
from typing import Any

from byola_diff.atomic import write_text


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
        """Drop the rows after `step`, and a last row that a full disk or a kill has cut short."""
        if not self.path.exists():
            return
        # Only whole lines: a number cut short is a number still.
        lines = [line for line in self.path.read_text().splitlines(True) if line.endswith("\n")]
        header, *rows = list(csv.reader(lines)) or [[]]
        if not header:
            self.path.unlink()
            return
        kept = [row for row in rows if len(row) == len(header) and int(row[0]) <= step]
        text = io.StringIO()
        csv.writer(text).writerows([header, *kept])
        write_text(self.path, text.getvalue())
