"""Linear evaluation of encoders on tasks: from the options of a verb to score records."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float

from byola_diff.atomic import atomic_path
from byola_diff.corpora.task import Task, read_task
from byola_diff.embeddings.extract import ExtractionOptions, count_cached, embed
from byola_diff.encoders.open import NamedEncoder, open_encoder
from byola_diff.evaluation.jobs import Job, extraction_options
from byola_diff.evaluation.linear.steps import Step, StepsOf
from byola_diff.evaluation.options import (
    EmbeddingOptions,
    Encoder,
    Folder,
    Rate,
    ScoreOptions,
    Table,
    npy_file,
)
from byola_diff.option_fields import RARE
from byola_diff.probing.logistic import probe_manifest
from byola_diff.probing.parts import probe_parts
from byola_diff.probing.protocols import PROTOCOLS, LinearProtocol
from byola_diff.probing.task import probe_task
from byola_diff.scores import ScoreRecord, score_record
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.rows import located

LOGISTIC = "logistic"
"""Name of the probe by logistic regression, which has no learning rate and no seed."""


@dataclass(frozen=True, kw_only=True)
class LinearOptions(ScoreOptions, EmbeddingOptions):
    """Options of the verbs `linear`, `layers`, `fusion` and `ensemble`."""

    manifest: list[Table]
    """Tasks: columns file, label, and split or fold; `prepare task` makes those of published
    tasks."""
    audio_root: Folder | None = None
    """Folder that files of manifests are relative to (default: that of each manifest)."""
    protocol: Literal["evar", "diff24", "logistic"] = "evar"
    """evar, diff24: a linear layer trained as in the papers, the learning rate chosen on validation
    clips by score or by loss; logistic: the optimum of a regularised regression, found directly."""
    learning_rates: Annotated[list[Rate], RARE] | None = None
    """To choose from (default: 13 from 1e-5 to 1e-2)."""
    seeds: Annotated[list[Annotated[int, "N"]], RARE] | None = None
    """Each gives a score (default: 42 43 44)."""


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(EmbeddingOptions):
    """Options of the verb `embed`."""

    encoder: Encoder
    """A bundle, a kind as in cnn14:FILE, or a YAML file: --help-all lists them."""
    manifest: Table
    """The clips: columns file, label, and split or fold."""
    audio_root: Folder | None = None
    """Folder that files of the manifest are relative to (default: that of the manifest)."""
    out: Annotated[Path, npy_file, "NPY"]
    """File for the embeddings."""


@dataclass(frozen=True)
class LinearRun:
    """How encoders are evaluated, whatever encoder and task."""

    protocol: LinearProtocol | None
    """None for logistic regression."""
    extraction: ExtractionOptions
    """How clips are embedded. Probes are trained on the same device."""

    @property
    def name(self) -> str:
        """Name of the protocol."""
        return self.protocol.name if self.protocol else LOGISTIC

    def n_probes(self, task: Task) -> int:
        """Probes that are trained for one embedding of the task."""
        n_parts = len(probe_parts(task.manifest, task.metric))
        if self.protocol is None:
            return n_parts
        return n_parts * len(self.protocol.seeds) * len(self.protocol.learning_rates)

    def settings(self, task: Task) -> dict[str, Any]:
        """What a record says of how it came about."""
        protocol = asdict(self.protocol) if self.protocol else {"name": LOGISTIC}
        return {
            **protocol,
            "unit_s": task.unit_s,
            "n_clips": len(task.manifest.clips),
            "clips_sha256": hashlib.sha256(repr(task.manifest.clips).encode()).hexdigest(),
            "deviations": [*task.deviations, *self._deviations()],
            "precision": self.extraction.resolved_precision,
            "device": self.extraction.device_type,
        }

    def _deviations(self) -> list[str]:
        """In what the protocol is not as published."""
        if self.protocol is None:
            return []
        published = PROTOCOLS[self.protocol.name]
        counts = {
            "learning rates": (self.protocol.learning_rates, published.learning_rates),
            "seeds": (self.protocol.seeds, published.seeds),
        }
        return [
            f"{what}: {', '.join(f'{value:g}' for value in ours)} only"
            for what, (ours, theirs) in counts.items()
            if ours != theirs
        ]

    def records(self, step: Step, task: Task) -> Iterator[ScoreRecord]:
        """Record of the scene embedding, or of each layer in turn."""
        start = time.monotonic()
        named, about = step.named, step.about
        preprocessing = Preprocessing(task.unit_s)
        embedded = embed(named, task.manifest, step.readout, preprocessing, self.extraction)
        if step.readout == "scene":
            yield self._record(named, task, embedded.scene.numpy(), start, **about)
            return
        names = list(named.encoder.layer_strides)
        for index, name in enumerate(names, start=1):
            start, layer = time.monotonic(), (name, index, len(names))
            embeddings = embedded.layers[name].numpy()
            yield self._record(named, task, embeddings, start, layer=layer, **about)

    def plan(self, step: Step, task: Task) -> str:
        """What `records` would do, in words; nothing is embedded."""
        named, encoder, manifest = step.named, step.named.encoder, task.manifest
        preprocessing = Preprocessing(task.unit_s)
        n_cached = count_cached(named, manifest, step.readout, preprocessing, self.extraction)
        size = f"{encoder.scene_embedding_size}-dimensional"
        what = size if step.readout == "scene" else f"{step.n_embeddings} layers"
        return (
            f"{named.name} ({encoder.sample_rate} Hz, {what}, {named.content_hash[:8]}) "
            f"on {task.name}: {len(manifest.clips)} clips, {n_cached} of them cached; "
            f"{self.n_probes(task) * step.n_embeddings} probes by protocol {self.name}"
        )

    def _record(
        self,
        named: NamedEncoder,
        task: Task,
        embeddings: Float[np.ndarray, "clip dim"],
        start: float,
        **about: Any,
    ) -> ScoreRecord:
        if self.protocol is None:
            scores, about["probe"] = probe_manifest(embeddings, task.manifest), {}
        else:
            how = (task.metric, self.protocol, self.extraction.device)
            result = probe_task(embeddings, task.manifest, *how)
            scores, about["probe"] = result.scores, {"learning_rates": result.learning_rates}
        what = ({task.metric: scores}, self.settings(task), time.monotonic() - start)
        return score_record(self.name, task.name, named, *what, **about)


def linear_jobs(options: LinearOptions, steps_of: StepsOf) -> list[Job]:
    """A job for each manifest; all are checked before anything is embedded.

    Raises:
        ValueError: If a manifest can't be evaluated; its path comes first. If learning rates or
            seeds are given for a probe that has none.
    """
    given = {"learning_rates": options.learning_rates, "seeds": options.seeds}
    changes = {name: tuple(values) for name, values in given.items() if values}
    if options.protocol == LOGISTIC and changes:
        raise ValueError("logistic regression has no learning rate and no seed")
    published = PROTOCOLS.get(options.protocol)
    run = LinearRun(published and replace(published, **changes), extraction_options(options))

    def job(path: Path) -> Job:
        task = read_task(path, options.audio_root)
        with located(f"{path}: "):
            if run.protocol is None and task.metric != "accuracy":
                raise ValueError(
                    f"it is scored by {task.metric}, logistic regression by accuracy: "
                    f"use one of the protocols {', '.join(PROTOCOLS)}"
                )
            probe_parts(task.manifest, task.metric)

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
    task, extraction = read_task(options.manifest, options.audio_root), extraction_options(options)
    preprocessing = Preprocessing(task.unit_s)
    named = open_encoder(options.encoder, task.manifest, preprocessing, options.device)
    if options.dry_run:
        n_cached = count_cached(named, task.manifest, "scene", preprocessing, extraction)
        print(f"{named.name}: {len(task.manifest.clips)} clips, {n_cached} of them cached")
        return
    embeddings = embed(named, task.manifest, "scene", preprocessing, extraction).scene
    with atomic_path(options.out) as temporary, temporary.open("wb") as file:
        np.save(file, embeddings.numpy())
    print(f"{tuple(embeddings.shape)} written to {options.out}")
