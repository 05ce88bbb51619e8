r"""Evaluate frozen encoders: linear probes, layers, fusion, ensembles, HEAR, additivity, a report.

    python evaluate.py linear --encoder runs/mine/bundle cnn14:FILE.pth --manifest data/esc50.csv
    python evaluate.py layers --encoder runs/mine/bundle --manifest data/esc50.csv
    python evaluate.py fusion --encoder 'vggish[10,15]:FILE.pth' --manifest data/esc50.csv
    python evaluate.py ensemble --encoder configs/evaluate/fusion_cat_xwc.yaml --manifest my.csv
    python evaluate.py hear --encoder runs/mine/bundle --task hear-2021.0.6/tasks/esc50-v2.0.0-full
    python evaluate.py report runs/scores

An encoder is one word: a bundle folder, or a kind with what belongs to it (vggish, cnn14,
cnn14-32k, ast, wav2vec2, hubert, crepe, byola, hear:MODULE, log-mel-statistics, untrained:...), or
a YAML file such as those in configs/evaluate. Layers in brackets are fused. Nothing is downloaded.
Each score is written as a JSON record; embeddings are cached: what was done is not done again.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from byola_diff.atomic import atomic_path, write_text
from byola_diff.audio.files import AudioFileError
from byola_diff.data.manifest import Manifest
from byola_diff.evaluation.additivity import measure_additivity, procedural_events
from byola_diff.evaluation.encoders import NamedEncoder, open_encoder
from byola_diff.evaluation.extract import count_cached, extract
from byola_diff.evaluation.extracted import Readout
from byola_diff.evaluation.hear.archive import unpack_task
from byola_diff.evaluation.hear.run import run_hear_task
from byola_diff.evaluation.hear.task_folder import HearTask, read_hear_task
from byola_diff.evaluation.linear_runs import LinearRun, ensemble_members, fused_base
from byola_diff.evaluation.options import evaluation_parser, linear_run
from byola_diff.evaluation.preprocessing import Preprocessing
from byola_diff.evaluation.records import read_records
from byola_diff.evaluation.results_csv import to_csv
from byola_diff.evaluation.results_page import to_markdown, write_report
from byola_diff.evaluation.scores import failure_record, score_record, write_record
from byola_diff.evaluation.tasks.task import Task, read_task
from byola_diff.storage import BrokenFileError

# Told without a traceback.
USER_ERRORS = (AudioFileError, BrokenFileError, ModuleNotFoundError, OSError, ValueError)

Job = Callable[[NamedEncoder], Iterable[dict[str, Any]]]
"""An encoder to its score records."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status: 2 if anything failed."""
    options = evaluation_parser(__doc__ or "", VERBS).parse_args(arguments)
    try:
        return options.run(options) or 0
    except USER_ERRORS as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 2


def linear(options: argparse.Namespace) -> int:
    """Score a linear probe on scene embeddings, on the test split or over the folds."""
    run = linear_run(options)

    def records(task: Task, named: NamedEncoder) -> Iterator[dict[str, Any]]:
        yield run.scene(named, task)

    return _linear(options, run, "scene", records)


def layers(options: argparse.Namespace) -> int:
    """Score every layer of an encoder, each pooled over time."""
    run = linear_run(options)
    return _linear(options, run, "layers", lambda task, named: run.layers(named, task))


def fusion(options: argparse.Namespace) -> int:
    """Score fused layers, beside each layer and the scene embedding of the same encoder."""
    run = linear_run(options)

    def records(task: Task, named: NamedEncoder) -> Iterator[dict[str, Any]]:
        base = fused_base(named)
        yield run.scene(base, task)
        yield from run.layers(base, task)
        yield run.fused(named, base, task)

    return _linear(options, run, "scene", records)


def ensemble(options: argparse.Namespace) -> int:
    """Score an ensemble, beside each of its members alone."""
    run = linear_run(options)

    def records(task: Task, named: NamedEncoder) -> Iterator[dict[str, Any]]:
        for member in ensemble_members(named):
            yield run.scene(member, task, base=named.name)
        yield run.scene(named, task)

    return _linear(options, run, "scene", records)


def hear(options: argparse.Namespace) -> int:
    """Score an encoder on tasks of the HEAR benchmark, by HEAR's protocol."""
    tasks = [_hear_task(path, options) for path in options.task]
    failed = False
    for word in options.encoder:
        for task in tasks:
            job = partial(_hear_record, task=task, options=options)
            about = ("hear", task.metadata.name, {"grid": options.grid})
            if options.dry_run:
                n_clips = sum(map(len, task.files.values()))
                print(f"{_open(word, options).name} on {about[1]}: {n_clips} clips")
                continue
            failed |= _run_job(word, None, about, job, options)
    return 2 if failed else 0


def additivity(options: argparse.Namespace) -> int:
    """Score how additive differences are, on procedural events over procedural backgrounds."""
    settings = {
        "n_events": options.events,
        "snr_db": options.snr_db,
        "duration_s": options.duration_s,
    }

    def job(named: NamedEncoder) -> Iterator[dict[str, Any]]:
        start = time.monotonic()
        cosines, recalls = {}, {}
        for seed in options.seeds:
            rate = named.encoder.sample_rate
            mixed = procedural_events(seed=seed, sample_rate=rate, **settings).to(options.device)
            score = measure_additivity(named.encoder.scene, mixed, options.batch_size)
            cosines[f"seed {seed}"], recalls[f"seed {seed}"] = score.cosine, score.recall_at_1
        scores = {"cosine": cosines, "recall@1": recalls}
        wall_s = time.monotonic() - start
        yield score_record("additivity", "procedural", named, scores, settings, wall_s)

    about = ("additivity", "procedural", settings)
    failed = [_run_job(word, None, about, job, options) for word in options.encoder]
    return 2 if any(failed) else 0


def embed(options: argparse.Namespace) -> None:
    """Write embeddings of all clips, float32 [clip, dim], in the order of the manifest."""
    if len(options.encoder) > 1:
        raise ValueError("embed takes one encoder")
    task = read_task(options.manifest[0])
    named = _open(options.encoder[0], options, task.manifest)
    if options.dry_run:
        print(f"{named.name}: {len(task.manifest.clips)} clips to {options.out}")
        return
    embeddings = linear_run(options).embed(named, task, "scene").scene
    with atomic_path(options.out) as temporary, temporary.open("wb") as file:
        np.save(file, embeddings.numpy())
    print(f"{tuple(embeddings.shape)} written to {options.out}")


def report(options: argparse.Namespace) -> None:
    """Make one HTML file of score records: tables beside those of the papers, curves, failures."""
    records = read_records(options.runs)
    write_report(records, options.out)
    written = [options.out]
    for path, text in ((options.csv, to_csv), (options.markdown, to_markdown)):
        if path is not None:
            write_text(path, text(records))
            written.append(path)
    print(f"{len(records.scored)} scores, {len(records.failed)} failures: {_listed(written)}")
    for problem in records.problems:
        print(f"evaluate.py: {problem}", file=sys.stderr)


VERBS = (linear, layers, fusion, ensemble, hear, additivity, embed, report)


def _linear(
    options: argparse.Namespace,
    run: LinearRun,
    readout: Readout,
    records: Callable[[Task, NamedEncoder], Iterable[dict[str, Any]]],
) -> int:
    """Each encoder on each task; tasks are checked before anything is embedded."""
    tasks = [read_task(path) for path in options.manifest]
    for task in tasks:
        run.check(task)
    failed = False
    for word in options.encoder:
        for task in tasks:
            if options.dry_run:
                _describe(_open(word, options, task.manifest), task, run, readout)
            else:
                about = (run.name, task.name, run.settings(task))
                failed |= _run_job(word, task.manifest, about, partial(records, task), options)
    return 2 if failed else 0


def _run_job(
    word: str,
    manifest: Manifest | None,
    about: tuple[str, str, dict[str, Any]],
    job: Job,
    options: argparse.Namespace,
) -> bool:
    """Open an encoder, write its records, print them. A failure is recorded: True is returned."""
    start, sha256, name = time.monotonic(), None, word
    try:
        named = _open(word, options, manifest)
        name, sha256 = named.name, named.content_hash
        for record in job(named):
            _print(record, write_record(options.out, record))
    except USER_ERRORS as error:
        protocol, task, settings = about
        wall_s = time.monotonic() - start
        record = failure_record(protocol, task, name, error, settings, wall_s, sha256=sha256)
        path = write_record(options.out, record)
        print(f"evaluate.py: {name} on {task}: {error}\n  record: {path}", file=sys.stderr)
        return True
    return False


def _hear_record(
    named: NamedEncoder, task: HearTask, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    start = time.monotonic()

    def embeddings(named: NamedEncoder, manifest: Manifest, readout: Readout) -> Any:
        run = linear_run(options)
        return extract(named, manifest, readout, Preprocessing(), **run.extraction())

    result = run_hear_task(
        task,
        named,
        extract=embeddings,
        grid=options.grid,
        n_points=options.points,
        shuffle=options.shuffle,
        device=options.device,
        predictions=options.predictions and options.predictions / f"{task.metadata.name}.json",
    )
    wall_s = time.monotonic() - start
    yield score_record("hear", task.metadata.name, named, result.scores, result.settings(), wall_s)


def _hear_task(path: Path, options: argparse.Namespace) -> HearTask:
    return read_hear_task(unpack_task(path, options.cache / "hear") if path.is_file() else path)


def _open(word: str, options: argparse.Namespace, manifest: Manifest | None = None) -> NamedEncoder:
    named = open_encoder(word, manifest)
    if isinstance(named.encoder, nn.Module):
        named.encoder.to(options.device)
    return named


def _describe(named: NamedEncoder, task: Task, run: LinearRun, readout: Readout) -> None:
    encoder, n_clips = named.encoder, len(task.manifest.clips)
    n_cached = count_cached(
        named,
        task.manifest,
        readout,
        Preprocessing(task.unit_s),
        cache=run.cache,
        device=run.device,
        precision=run.precision,
    )
    print(
        f"{named.name} ({encoder.sample_rate} Hz, {encoder.scene_embedding_size}-dimensional, "
        f"{named.content_hash[:8]}) on {task.name}: {n_clips} clips, {n_cached} of them cached; "
        f"{run.n_probes(task)} probes for each embedding, by protocol {run.name}"
    )


def _print(record: dict[str, Any], path: Path) -> None:
    layer = f" layer {record['layer']['name']}" if record["layer"] else ""
    for metric, score in record["scores"].items():
        each = "  ".join(f"{name} {value:.4f}" for name, value in score["values"].items())
        spread = "" if score["ci95"] is None else f" ± {score['ci95']:.4f}"
        what = f"{record['encoder']['name']}{layer}  {record['task']} {metric}"
        print(f"{what} {score['mean']:.4f}{spread}  ({each})")
    print(f"  record: {path}", flush=True)


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))


if __name__ == "__main__":
    sys.exit(main())
