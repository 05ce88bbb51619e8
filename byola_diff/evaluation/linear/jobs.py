"""Jobs of the linear evaluation, and embeddings as a file, from the options of their verbs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from byola_diff.atomic import atomic_path
from byola_diff.corpora.task import read_task
from byola_diff.embeddings.extract import count_cached
from byola_diff.encoders.open import NamedEncoder, open_encoder
from byola_diff.evaluation.jobs import Job
from byola_diff.evaluation.linear.options import EmbedOptions, LinearOptions
from byola_diff.evaluation.linear.run import linear_run
from byola_diff.evaluation.linear.steps import StepsOf
from byola_diff.scores import ScoreRecord
from byola_diff.tables.preprocessing import Preprocessing


def linear_jobs(options: LinearOptions, steps_of: StepsOf) -> list[Job]:
    """A job for each manifest; all are checked before anything is embedded.

    Raises:
        ValueError: If a manifest can't be evaluated; its path comes first.
    """
    run = linear_run(options)

    def job(path: Path) -> Job:
        task = read_task(path, options.audio_root)
        try:
            run.check(task)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

        def records(named: NamedEncoder) -> Iterator[ScoreRecord]:
            for step in steps_of(named):
                yield from run.records(step, task)

        def plan(named: NamedEncoder) -> Iterator[str]:
            for step in steps_of(named):
                yield run.plan(step, task)

        cut = Preprocessing(task.unit_s)
        return Job(run.name, task.name, run.settings(task), records, plan, task.manifest, cut)

    return [job(path) for path in options.manifest]


def write_embeddings(options: EmbedOptions) -> None:
    """Write embeddings of all clips, float32 [clip, dim], in the order of the manifest."""
    run, task = linear_run(options), read_task(options.manifest, options.audio_root)
    preprocessing = Preprocessing(task.unit_s)
    named = open_encoder(options.encoder, task.manifest, preprocessing, options.device)
    if options.dry_run:
        n_cached = count_cached(named, task.manifest, "scene", preprocessing, run.extraction)
        print(f"{named.name}: {len(task.manifest.clips)} clips, {n_cached} of them cached")
        return
    embeddings = run.embed(named, task, "scene").scene
    with atomic_path(options.out) as temporary, temporary.open("wb") as file:
        np.save(file, embeddings.numpy())
    print(f"{tuple(embeddings.shape)} written to {options.out}")
