"""Encoders on tasks, one after another: a record of each score, and of whatever failed."""

import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxtyping import Float32
from torch import Tensor

from byola_diff.audio.files import AudioFileError
from byola_diff.embeddings.extract import ExtractionOptions, count_cached, embed
from byola_diff.encoders.open import NamedEncoder, check_spec, open_encoder, spec_name
from byola_diff.evaluation.options import EmbeddingOptions, ScoreOptions
from byola_diff.scores import ScoreRecord, failure_record, write_record
from byola_diff.storage import BrokenFileError
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import UnreadableClipsError

USER_ERRORS = (AudioFileError, BrokenFileError, ModuleNotFoundError, OSError, ValueError)
"""What users can mend: said in a line, without a traceback."""

_WHOLE = Preprocessing()


@dataclass(frozen=True)
class Job:
    """One protocol on one task, for whatever encoder."""

    protocol: str
    task: str
    settings: Mapping[str, Any]
    records: Callable[[NamedEncoder], Iterable[ScoreRecord]]
    """Score records, as they are ready."""
    plan: Callable[[NamedEncoder], Iterable[str]]
    """What `records` would do, in words."""
    manifest: Manifest | None = None
    """For encoders that take statistics from the task."""
    preprocessing: Preprocessing = _WHOLE
    """How the clips of the manifest are cut."""


def run_jobs(options: ScoreOptions, jobs: Sequence[Job]) -> int:
    """Each encoder with each job, whatever comes of the others; or the plans, for a dry run.

    Returns:
        The exit status: 2 if anything failed. The reason is on the standard error and in a record.

    Raises:
        ValueError: If a spec names no kind of encoder: before anything is done.
        FileNotFoundError: If there is no such configuration or folder.
    """
    for encoder_spec in options.encoder:
        check_spec(encoder_spec)
    status = 0
    for encoder_spec in options.encoder:
        named, opened_for = None, None
        for job in jobs:
            start = time.monotonic()
            try:
                # Opened and hashed once for all jobs, unless its statistics are those of a task.
                statistics_of = (job.manifest, job.preprocessing)
                if named is None or (named.of_task and statistics_of != opened_for):
                    named, opened_for = None, statistics_of
                    named = open_encoder(encoder_spec, *statistics_of, options.device)
                if options.dry_run:
                    print(*job.plan(named), sep="\n", flush=True)
                    continue
                for record in job.records(named):
                    _print(record, write_record(options.out, record))
            except Exception as error:  # modules of others may raise anything, memory may run out
                status = 2
                record = _failure(error, encoder_spec, named, job, time.monotonic() - start)
                if not options.dry_run:
                    print(f"  record: {write_record(options.out, record)}", file=sys.stderr)
    return status


def extraction_options(options: EmbeddingOptions) -> ExtractionOptions:
    """How clips are embedded, by the options that all verbs have."""
    return ExtractionOptions(
        cache=options.cache,
        batch_size=options.batch_size,
        device=options.device,
        precision=options.precision,
        n_workers=options.workers,
        cluster=options.cluster,
    )


def embed_whole(
    named: NamedEncoder, manifest: Manifest, options: EmbeddingOptions
) -> Float32[Tensor, "clip dim"]:
    """Scene embeddings of all clips, none of which is cut; raises as `embed`."""
    return embed(named, manifest, "scene", _WHOLE, extraction_options(options)).scene


def embed_readable(
    named: NamedEncoder, manifest: Manifest, options: EmbeddingOptions
) -> tuple[Manifest, Float32[Tensor, "clip dim"], list[tuple[str, str]]]:
    """The clips of files that can be read, their scene embeddings, and other files with the reason.

    Raises:
        UnreadableClipsError: If it is of none of the clips: another try would meet it.
        ValueError: If nothing can be read; and as `embed`.
    """
    unreadable: dict[str, str] = {}
    while manifest.clips:
        try:
            return manifest, embed_whole(named, manifest, options), list(unreadable.items())
        except UnreadableClipsError as error:  # of opening them, and after that of reading them
            reasons = {fault.path: fault.reason for fault in error.errors}
            readable = [clip for clip in manifest.clips if manifest.path(clip) not in reasons]
            if len(readable) == len(manifest.clips):
                raise
            for clip in manifest.clips:
                if manifest.path(clip) in reasons:
                    unreadable[clip.file] = reasons[manifest.path(clip)]
            manifest = replace(manifest, clips=tuple(readable))
    file, reason = next(iter(unreadable.items()))
    raise ValueError(
        f"none of the {len(unreadable)} files in {manifest.root} can be read, such as "
        f"{file}: {reason}"
    )


def count_embedded(named: NamedEncoder, manifest: Manifest, options: EmbeddingOptions) -> int:
    """Clips that `embed_whole` would find in the cache."""
    return count_cached(named, manifest, "scene", _WHOLE, extraction_options(options))


def _failure(
    error: Exception, encoder_spec: str, named: NamedEncoder | None, job: Job, wall_s: float
) -> ScoreRecord:
    """The record of a failure, whose reason is said on the standard error."""
    if not isinstance(error, USER_ERRORS):
        traceback.print_exc()
    name, sha256 = spec_name(encoder_spec), None
    if named:
        name, sha256 = named.name, named.content_hash
    print(f"{name} on {job.task}: {error}", file=sys.stderr)
    about = (job.protocol, job.task, name, error, job.settings, wall_s)
    return failure_record(*about, sha256=sha256)


def _print(record: ScoreRecord, path: Path) -> None:
    layer = f" layer {record.layer.name}" if record.layer else ""
    for metric, score in record.scores.items():
        each = "  ".join(f"{name} {value:.4f}" for name, value in score.values.items())
        spread = "" if score.ci95 is None else f" ± {score.ci95:.4f}"
        what = f"{record.encoder.name}{layer}  {record.task} {metric}"
        print(f"{what} {score.mean:.4f}{spread}  ({each})")
    print(f"  record: {path}", flush=True)
