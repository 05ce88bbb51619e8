"""The HEAR protocol: an MLP on frozen embeddings, its hyper-parameters chosen on validation data.

The grid is searched on the first fold; the winner is trained again for every other fold. The labels
of a test split are asked for when the probe that is tested on it has been chosen, and not before.

Embeddings are not standardised, as in HEAR's kit. Nor are clips shuffled anew in each epoch, unless
it is asked for: the kit means to, but compares a list with a word.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from byola_diff.atomic import write_text
from byola_diff.audio.resample import resampler_name
from byola_diff.embeddings.extract import ExtractionOptions, count_cached
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.hear.archive import unpack_task
from byola_diff.evaluation.hear.grid import GridName, GridPoint, hyperparameter_grid
from byola_diff.evaluation.hear.probes import SEED, FoldResult, embed_task
from byola_diff.evaluation.hear.task_folder import HearTask, read_hear_task
from byola_diff.evaluation.jobs import Job, extraction_options
from byola_diff.evaluation.options import EmbeddingOptions, Folder, ScoreOptions, deviations
from byola_diff.option_fields import RARE, Count
from byola_diff.scores import ScoreRecord, score_record
from byola_diff.tables.preprocessing import Preprocessing


@dataclass(frozen=True, kw_only=True)
class HearOptions(ScoreOptions, EmbeddingOptions):
    """Options of the verb `hear`."""

    task: list[Annotated[Path, "PATH"]]
    """Task folders, or tar.gz as published."""
    grid: GridName = "default"
    """Hyper-parameters to choose from, by the names of HEAR's kit."""
    points: Count = 8
    """Combinations of them to try."""
    shuffle: Annotated[bool, RARE] = False
    """Order clips anew in each epoch, unlike HEAR's kit."""
    predictions: Folder | None = None
    """Also write predictions: a file for each task and encoder."""
    dry_run: bool = False
    """Check all but the clips, which are not opened; say what would be done, and stop. Archives are
    unpacked into the cache for that."""


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
    marked = settings | {"deviations": deviations(options, "grid", "points", "shuffle")}

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


@dataclass(frozen=True)
class HearResult:
    """Test scores of one encoder on one task."""

    folds: Mapping[str, FoldResult]
    """Results by test split."""
    chosen: GridPoint
    searched: tuple[tuple[GridPoint, float], ...]
    """Validation score of each hyper-parameter combination that was tried, in this order."""
    settings: Mapping[str, Any]
    """Plain values: how the scores came about."""

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """Test values by metric, then by test split: as `score_record` takes them."""
        tested = self.folds.items()
        metrics = next(iter(self.folds.values())).scores
        return {metric: {test: fold.scores[metric] for test, fold in tested} for metric in metrics}

    def choices(self) -> dict[str, Any]:
        """Plain values that were chosen on validation splits."""
        return {
            "chosen": asdict(self.chosen),
            "searched": [[asdict(point), score] for point, score in self.searched],
            "folds": {
                test: {
                    "valid_score": fold.valid_score,
                    "best_epoch": fold.best_epoch,
                    "processing": fold.processing and asdict(fold.processing),
                }
                for test, fold in self.folds.items()
            },
        }


def run_hear_task(
    task: HearTask,
    named: NamedEncoder,
    extraction: ExtractionOptions,
    *,
    grid: GridName = "default",
    n_points: int = 8,
    shuffle: bool = False,
) -> HearResult:
    """Test scores of an encoder on a task, by all metrics of the task.

    Whole clips of all splits are embedded; the encoder is already on the device of `extraction`,
    on which probes are trained too. `grid`, `n_points` and `shuffle` are as in `HearOptions`.

    Raises:
        ValueError: If an embedding is NaN, or no probe could be scored on the validation split.
    """
    metadata, rate = task.metadata, task.rate_for(named.encoder.sample_rate)
    points = hyperparameter_grid(grid, metadata.task_name, metadata.grid_overrides, n_points)
    probes = embed_task(task, named, extraction, shuffle)
    first, *others = task.folds()
    tried = probes.train(first, points)
    # Of equally good ones the first tried wins, as in the kit.
    best = max(points, key=lambda point: tried[point].best_score)
    trained = {first: tried[best]}
    trained |= {fold: probes.train(fold, [best])[best] for fold in others}
    return HearResult(
        folds={fold.test: probes.test(fold, probe) for fold, probe in trained.items()},
        chosen=best,
        searched=tuple((point, tried[point].best_score) for point in points),
        settings={
            "primary": metadata.metrics[0],
            "selected_by": metadata.metrics[0] if metadata.selects_by_score else "loss",
            "audio_rate": rate,
            "resampler": None if rate == named.encoder.sample_rate else resampler_name(),
            "seed": SEED,
            "precision": extraction.resolved_precision,
            "device": extraction.device_type,
        },
    )
