"""Encoders on tasks, one after another: a record of each score, and of whatever failed."""

import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from byola_diff.audio.files import AudioFileError
from byola_diff.embeddings.extract import ExtractionOptions
from byola_diff.encoders.open import NamedEncoder, check_spec, open_encoder
from byola_diff.evaluation.options import EmbeddingOptions
from byola_diff.scores import ScoreRecord, failure_record, write_record
from byola_diff.storage import BrokenFileError
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing

USER_ERRORS = (AudioFileError, BrokenFileError, ModuleNotFoundError, OSError, ValueError)
"""What users can mend: said in a line, without a traceback."""


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
    preprocessing: Preprocessing | None = None
    """How the clips of the manifest are cut."""


def run_jobs(
    encoder_specs: Sequence[str],
    jobs: Sequence[Job],
    *,
    device: torch.device | str,
    out: Path,
    dry_run: bool = False,
) -> int:
    """Each encoder with each job, whatever comes of the others.

    Args:
        encoder_specs: As of `open_encoder`.
        jobs: What to do with each.
        device: Where encoders go.
        out: Folder for the records, which are printed too.
        dry_run: Whether to print plans instead, and write nothing.

    Returns:
        The exit status: 2 if anything failed. The reason is on the standard error and in a record.

    Raises:
        ValueError: If a spec names no kind of encoder: before anything is done.
        FileNotFoundError: If there is no such configuration.
    """
    for encoder_spec in encoder_specs:
        check_spec(encoder_spec)
    ended = []
    for encoder_spec in encoder_specs:
        open_for = _opener(encoder_spec, device)
        ended += [_run(encoder_spec, open_for, job, out, dry_run) for job in jobs]
    return 0 if all(ended) else 2


def extraction_options(options: EmbeddingOptions) -> ExtractionOptions:
    """How clips are embedded, by the options that all verbs have."""
    return ExtractionOptions(
        cache=options.cache,
        batch_size=options.batch_size,
        device=options.device,
        precision=options.precision,
        n_workers=options.workers,
    )


def _opener(encoder_spec: str, device: torch.device | str) -> Callable[[Job], NamedEncoder]:
    """Opens and hashes an encoder once for all jobs, unless its statistics are those of a task."""
    kept: NamedEncoder | None = None

    def open_for(job: Job) -> NamedEncoder:
        nonlocal kept
        named = kept or open_encoder(encoder_spec, job.manifest, job.preprocessing, device)
        kept = None if named.of_task else named
        return named

    return open_for


def _run(
    encoder_spec: str, open_for: Callable[[Job], NamedEncoder], job: Job, out: Path, dry_run: bool
) -> bool:
    """Whether it went well."""
    start, name, sha256 = time.monotonic(), encoder_spec, None
    try:
        named = open_for(job)
        name, sha256 = named.name, named.content_hash
        if dry_run:
            print(*job.plan(named), sep="\n", flush=True)
            return True
        for record in job.records(named):
            _print(record, write_record(out, record))
    except Exception as error:  # modules of others may raise anything, and memory may run out
        if not isinstance(error, USER_ERRORS):
            traceback.print_exc()
        print(f"{name} on {job.task}: {error}", file=sys.stderr)
        if not dry_run:
            wall_s = time.monotonic() - start
            about = (job.protocol, job.task, name, error, job.settings, wall_s)
            path = write_record(out, failure_record(*about, sha256=sha256))
            print(f"  record: {path}", file=sys.stderr)
        return False
    return True


def _print(record: ScoreRecord, path: Path) -> None:
    layer = f" layer {record.layer.name}" if record.layer else ""
    for metric, score in record.scores.items():
        each = "  ".join(f"{name} {value:.4f}" for name, value in score.values.items())
        spread = "" if score.ci95 is None else f" ± {score.ci95:.4f}"
        what = f"{record.encoder.name}{layer}  {record.task} {metric}"
        print(f"{what} {score.mean:.4f}{spread}  ({each})")
    print(f"  record: {path}", flush=True)
