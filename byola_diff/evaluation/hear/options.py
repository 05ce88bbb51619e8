"""Options of HEAR's tasks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from byola_diff.evaluation.hear.grid import GridName
from byola_diff.evaluation.options import EmbeddingOptions, Folder, ScoreOptions
from byola_diff.option_fields import Count

USUAL_HEAR = {"grid": "default", "points": 8, "shuffle": False}
"""Defaults; scores by other values of these do not compare, and are marked in reports."""


@dataclass(frozen=True, kw_only=True)
class HearOptions(ScoreOptions, EmbeddingOptions):
    """Options of the verb `hear`."""

    task: list[Annotated[Path, "PATH"]]
    """Task folders, or tar.gz as published."""
    grid: GridName = "default"
    """Hyper-parameters to choose from, by the names of HEAR's kit."""
    points: Count = 8
    """Combinations of them to try."""
    shuffle: bool = False
    """Order clips anew in each epoch, unlike HEAR's kit."""
    predictions: Folder | None = None
    """Also write predictions: a file for each task and encoder."""
