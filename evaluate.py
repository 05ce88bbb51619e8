r"""Evaluate frozen encoders: probes, layers, fusion, ensembles, HEAR, the difference benchmarks.

    python evaluate.py linear --encoder runs/mine/bundle cnn14:FILE.pth --manifest data/esc50.csv
    python evaluate.py layers --encoder runs/mine/bundle --manifest data/esc50.csv
    python evaluate.py fusion --encoder 'vggish[10,15]:FILE.pth' --manifest data/esc50.csv
    python evaluate.py ensemble --encoder configs/evaluate/fusion_cat_xwc.yaml --manifest my.csv
    python evaluate.py hear --encoder runs/mine/bundle --task hear-2021.0.6/tasks/esc50-v2.0.0-full
    python evaluate.py bgknown --encoder runs/mine/bundle --data data/bgknown
    python evaluate.py retrieval --encoder runs/mine/bundle --pairs data/apwd_rain/pairs.csv
    python evaluate.py search --system runs/retrieval/SYSTEM --query a.wav --text "add a dog" \
        --folder DIR
    python evaluate.py additivity --encoder runs/mine/bundle
    python evaluate.py report runs/scores

An encoder is one word: a bundle folder, or a kind with what belongs to it (vggish, cnn14,
cnn14-32k, ast, wav2vec2, hubert, crepe, byola, hear:MODULE, log-mel-statistics, untrained:...), or
a YAML file such as those in configs/evaluate. Layers in brackets are fused. A manifest is a CSV
file with the columns file, label, and split or fold. Nothing is downloaded.

Each score is written as a JSON record, and so is each failure: the other encoders go on, and the
exit status is 2. Embeddings are cached: what was done is not done again.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from byola_diff.atomic import atomic_path, write_text
from byola_diff.corpora.task import read_task
from byola_diff.embeddings.extract import extract
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.options import additivity_options
from byola_diff.evaluation.additivity.run import additivity_job
from byola_diff.evaluation.bgknown.options import bgknown_options
from byola_diff.evaluation.bgknown.run import bgknown_job
from byola_diff.evaluation.hear.archive import unpack_task
from byola_diff.evaluation.hear.options import USUAL_HEAR, hear_options
from byola_diff.evaluation.hear.run import run_hear_task
from byola_diff.evaluation.hear.task_folder import HearTask, read_hear_task
from byola_diff.evaluation.jobs import USER_ERRORS, Job, open_on, run_jobs
from byola_diff.evaluation.linear.options import linear_options
from byola_diff.evaluation.linear.run import linear_run
from byola_diff.evaluation.linear.steps import (
    StepsOf,
    ensemble_steps,
    fusion_steps,
    layer_steps,
    scene_steps,
)
from byola_diff.evaluation.options import LINEAR, deviations, evaluation_parser
from byola_diff.evaluation.retrieval.options import retrieval_options
from byola_diff.evaluation.retrieval.run import retrieval_jobs
from byola_diff.evaluation.retrieval.search_options import search_options
from byola_diff.evaluation.retrieval.search_run import search as search_folder
from byola_diff.reports.extras import read_extras
from byola_diff.reports.paper_tables import print_paper_table
from byola_diff.reports.results_csv import to_csv
from byola_diff.reports.results_page import to_markdown, write_report
from byola_diff.scores import ScoreRecord, read_records, score_record
from byola_diff.tables.preprocessing import Preprocessing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status: 2 if anything failed."""
    options = evaluation_parser(__doc__ or "", VERBS, SPECIAL).parse_args(arguments)
    try:
        return options.run(options) or 0
    except USER_ERRORS as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nevaluate.py: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def linear(options: argparse.Namespace) -> int:
    """Score a linear probe on scene embeddings, on the test split or over the folds."""
    return _run_all(options, _linear_jobs(options, scene_steps))


def layers(options: argparse.Namespace) -> int:
    """Score every layer of an encoder, each as mean plus maximum over time."""
    return _run_all(options, _linear_jobs(options, layer_steps))


def fusion(options: argparse.Namespace) -> int:
    """Score fused layers, beside each layer and the scene embedding of the same encoder."""
    return _run_all(options, _linear_jobs(options, fusion_steps))


def ensemble(options: argparse.Namespace) -> int:
    """Score an ensemble, beside each of its members alone."""
    return _run_all(options, _linear_jobs(options, ensemble_steps))


def hear(options: argparse.Namespace) -> int:
    """Score an encoder on tasks of the HEAR benchmark, by HEAR's protocol."""
    folders = [
        unpack_task(path, options.cache / "hear") if path.is_file() else path
        for path in options.task
    ]
    tasks = [read_hear_task(folder) for folder in folders]
    return _run_all(options, [_hear_job(options, task) for task in tasks])


def bgknown(options: argparse.Namespace) -> int:
    """Score differences of embeddings on Background-known ESC-50: Mix, (a), (b) and (c)."""
    status = _run_all(options, [bgknown_job(options.data, options)])
    return _with_paper_table("bgknown", options, status)


def retrieval(options: argparse.Namespace) -> int:
    """Score retrieval by a recording and a text that tells the difference, on pairs of clips."""
    status = _run_all(options, retrieval_jobs(options))
    return _with_paper_table("retrieval", options, status)


def search(options: argparse.Namespace) -> int:
    """Search a folder of audio by a recording and a text; writes a page with players."""
    return search_folder(options)


def additivity(options: argparse.Namespace) -> int:
    """Score how additive differences are: the same events over two backgrounds, by loudness."""
    return _run_all(options, [additivity_job(options)])


def embed(options: argparse.Namespace) -> None:
    """Write embeddings of all clips, float32 [clip, dim], in the order of the manifest."""
    run, task = linear_run(options), read_task(options.manifest[0], options.audio_root)
    preprocessing = Preprocessing(task.unit_s)
    named = open_on(options.device, options.encoder[0], task.manifest, preprocessing)
    if options.dry_run:
        n_cached = run.n_cached(named, task.manifest, "scene", preprocessing)
        print(f"{named.name}: {len(task.manifest.clips)} clips, {n_cached} of them cached")
        return
    embeddings = run.embed(named, task, "scene").scene
    with atomic_path(options.out) as temporary, temporary.open("wb") as file:
        np.save(file, embeddings.numpy())
    print(f"{tuple(embeddings.shape)} written to {options.out}")


def report(options: argparse.Namespace) -> None:
    """Make one HTML file of score records: tables beside those of the papers, curves, failures."""
    records = read_records(options.runs)
    extras, broken = read_extras(options.runs)
    paths = [path for path in (options.out, options.csv, options.markdown) if path is not None]
    if not options.dry_run:
        write_report(records, options.out, extras)
        if options.csv is not None:
            write_text(options.csv, to_csv(records))
        if options.markdown is not None:
            write_text(options.markdown, to_markdown(records, extras))
    counts = f"{len(records.scored)} scores, {len(records.failed)} failures"
    print(f"{counts}: {', '.join(map(str, paths))}{' not written' if options.dry_run else ''}")
    for problem in (*records.problems, *broken):
        print(f"evaluate.py: {problem}", file=sys.stderr)


VERBS = (
    *(linear, layers, fusion, ensemble, hear),
    *(bgknown, retrieval, search, additivity),
    *(embed, report),
)


SPECIAL = {
    **dict.fromkeys(LINEAR, linear_options),
    "hear": hear_options,
    "bgknown": bgknown_options,
    "retrieval": retrieval_options,
    "search": search_options,
    "additivity": additivity_options,
}


def _with_paper_table(protocol: str, options: argparse.Namespace, status: int) -> int:
    """Print the paper's table with our scores beside, and pass on the exit status."""
    if not options.dry_run:
        print_paper_table(protocol, options.out)
    return status


def _run_all(options: argparse.Namespace, jobs: Sequence[Job]) -> int:
    return run_jobs(
        options.encoder, jobs, device=options.device, out=options.out, dry_run=options.dry_run
    )


def _linear_jobs(options: argparse.Namespace, steps_of: StepsOf) -> list[Job]:
    """A job for each manifest; all are checked before anything is embedded."""
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


def _hear_job(options: argparse.Namespace, task: HearTask) -> Job:
    run, name = linear_run(options), task.metadata.name
    settings = {"grid": options.grid, "n_points": options.points, "shuffle": options.shuffle}
    settings["deviations"] = deviations(options, USUAL_HEAR)

    def records(named: NamedEncoder) -> Iterator[ScoreRecord]:
        start = time.monotonic()
        file = f"{name}-{named.content_hash[:8]}.json"
        result = run_hear_task(
            task,
            named,
            extract=partial(extract, preprocessing=Preprocessing(), **run.extraction()),
            grid=options.grid,
            n_points=options.points,
            shuffle=options.shuffle,
            device=options.device,
            predictions=options.predictions and options.predictions / file,
        )
        about = (result.scores, result.settings() | settings, time.monotonic() - start)
        yield score_record("hear", name, named, *about, probe=result.choices())

    def plan(named: NamedEncoder) -> Iterator[str]:
        manifest = task.manifest(named.encoder.sample_rate)
        readout = "scene" if task.metadata.embedding_type == "scene" else "timestamps"
        n_cached = run.n_cached(named, manifest, readout, Preprocessing())
        yield (
            f"{named.name} on {name}: {len(manifest.clips)} clips, {n_cached} of them cached; "
            f"{options.points} probes to choose from, {len(task.folds())} tests"
        )

    return Job("hear", name, settings, records, plan)


if __name__ == "__main__":
    sys.exit(main())
