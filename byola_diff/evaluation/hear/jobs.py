"""Jobs of the HEAR benchmark, from the options of its verb."""

import time
from collections.abc import Iterator

from byola_diff.embeddings.extract import count_cached
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.hear.archive import unpack_task
from byola_diff.evaluation.hear.options import USUAL_HEAR, HearOptions
from byola_diff.evaluation.hear.run import run_hear_task
from byola_diff.evaluation.hear.task_folder import HearTask, read_hear_task
from byola_diff.evaluation.jobs import Job, extraction_options
from byola_diff.evaluation.options import deviations
from byola_diff.scores import ScoreRecord, score_record
from byola_diff.tables.preprocessing import Preprocessing


def hear_jobs(options: HearOptions) -> list[Job]:
    """A job for each task, whose folder or archive is read before anything is embedded."""
    folders = [
        unpack_task(path, options.cache / "hear") if path.is_file() else path
        for path in options.task
    ]
    tasks = [read_hear_task(folder) for folder in folders]
    return [_hear_job(options, task) for task in tasks]


def _hear_job(options: HearOptions, task: HearTask) -> Job:
    extraction, name = extraction_options(options), task.metadata.name
    settings = {"grid": options.grid, "n_points": options.points, "shuffle": options.shuffle}
    settings["deviations"] = deviations(options, USUAL_HEAR)

    def records(named: NamedEncoder) -> Iterator[ScoreRecord]:
        start = time.monotonic()
        file = f"{name}-{named.content_hash[:8]}.json"
        result = run_hear_task(
            task,
            named,
            extraction,
            grid=options.grid,
            n_points=options.points,
            shuffle=options.shuffle,
            predictions=options.predictions and options.predictions / file,
        )
        about = (result.scores, result.settings() | settings, time.monotonic() - start)
        yield score_record("hear", name, named, *about, probe=result.choices())

    def plan(named: NamedEncoder) -> Iterator[str]:
        manifest = task.manifest(named.encoder.sample_rate)
        n_cached = count_cached(named, manifest, task.readout, Preprocessing(), extraction)
        yield (
            f"{named.name} on {name}: {len(manifest.clips)} clips, {n_cached} of them cached; "
            f"{options.points} probes to choose from, {len(task.folds())} tests"
        )

    return Job("hear", name, settings, records, plan)
