"""The verb `hear`: its options, and a job for each task."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from byola_diff.atomic import write_text
from byola_diff.embeddings.extract import count_cached
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.hear.archive import unpack_task
from byola_diff.evaluation.hear.grid import GridName
from byola_diff.evaluation.hear.run import run_hear_task
from byola_diff.evaluation.hear.task_folder import HearTask, read_hear_task
from byola_diff.evaluation.jobs import Job, extraction_options
from byola_diff.evaluation.options import EmbeddingOptions, Folder, ScoreOptions, deviations
from byola_diff.option_fields import Count
from byola_diff.scores import ScoreRecord, score_record
from byola_diff.tables.preprocessing import Preprocessing

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


def hear_jobs(options: HearOptions) -> list[Job]:
    """A job for each task, whose folder or archive is read before anything is embedded."""
    tasks = [
        read_hear_task(unpack_task(path, options.cache / "hear") if path.is_file() else path)
        for path in options.task
    ]
    return [_hear_job(options, task) for task in tasks]


def _hear_job(options: HearOptions, task: HearTask) -> Job:
    extraction, name = extraction_options(options), task.metadata.name
    settings = {"grid": options.grid, "n_points": options.points, "shuffle": options.shuffle}
    marked = settings | {"deviations": deviations(options, USUAL_HEAR)}

    def records(named: NamedEncoder) -> Iterator[ScoreRecord]:
        start = time.monotonic()
        result = run_hear_task(task, named, extraction, **settings)
        if options.predictions is not None:
            content = {
                "task": name,
                "encoder": named.name,
                "labels": task.labels,
                "folds": {test: fold.predictions for test, fold in result.folds.items()},
            }
            file = f"{name}-{named.content_hash[:8]}.json"
            write_text(options.predictions / file, json.dumps(content) + "\n")
        about = (result.scores, {**result.settings, **marked}, time.monotonic() - start)
        yield score_record("hear", name, named, *about, probe=result.choices())

    def plan(named: NamedEncoder) -> Iterator[str]:
        manifest = task.manifest(named.encoder.sample_rate)
        n_cached = count_cached(named, manifest, task.readout, Preprocessing(), extraction)
        yield (
            f"{named.name} on {name}: {len(manifest.clips)} clips, {n_cached} of them cached; "
            f"{options.points} probes to choose from, {len(task.folds())} tests"
        )

    return Job("hear", name, marked, records, plan)
