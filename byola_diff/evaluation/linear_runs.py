"""Linear evaluation of an encoder on a task: from a manifest to score records.

Of the scene embedding, of every layer, or of fused layers against what they are made of.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from byola_diff.evaluation.encoder_word import split_layers
from byola_diff.evaluation.encoders import NamedEncoder, content_hash
from byola_diff.evaluation.ensemble import EnsembleEncoder
from byola_diff.evaluation.extract import extract
from byola_diff.evaluation.extracted import Extracted, Readout
from byola_diff.evaluation.fusion import FusedEncoder
from byola_diff.evaluation.preprocessing import Preprocessing
from byola_diff.evaluation.probe_manifest import check_probe, probe_manifest
from byola_diff.evaluation.probes.parts import probe_parts
from byola_diff.evaluation.probes.probe_task import manifest_targets, probe_task
from byola_diff.evaluation.probes.protocols import LinearProtocol
from byola_diff.evaluation.scores import Values, score_record
from byola_diff.evaluation.tasks.task import Task
from byola_diff.models.precision import Precision

LOGISTIC = "logistic"
"""Name of the probe by logistic regression, which has no learning rate and no seed."""

Record = dict[str, Any]


@dataclass(frozen=True)
class LinearRun:
    """How encoders are evaluated, whatever encoder and task."""

    protocol: LinearProtocol | None
    """None for logistic regression."""
    cache: Path | None = None
    batch_size: int = 32
    device: torch.device | str = "cpu"
    precision: Precision = "auto"
    n_workers: int = 2
    progress: bool = True

    @property
    def name(self) -> str:
        """Of the protocol."""
        return self.protocol.name if self.protocol else LOGISTIC

    def check(self, task: Task) -> None:
        """Do nothing if the task can be evaluated: before anything is embedded for it.

        Raises:
            ValueError: If its splits, folds or labels do not allow it.
        """
        if self.protocol is None:
            check_probe(task.manifest)
        else:
            probe_parts(task.manifest)
            manifest_targets(task.manifest, task.metric)

    def n_probes(self, task: Task) -> int:
        """Probes that are trained for one embedding of the task."""
        parts = probe_parts(task.manifest)
        if self.protocol is None:
            return len(parts)
        return len(parts) * len(self.protocol.seeds) * len(self.protocol.learning_rates)

    def settings(self, task: Task) -> dict[str, Any]:
        """What a record says of how it came about."""
        protocol = asdict(self.protocol) if self.protocol else {"name": LOGISTIC}
        return {
            **protocol,
            "unit_s": task.unit_s,
            "n_clips": len(task.manifest.clips),
            "deviations": list(task.deviations),
            "precision": self.precision,
        }

    def embed(self, named: NamedEncoder, task: Task, readout: Readout) -> Extracted:
        """Embeddings of all clips of the task."""
        preprocessing = Preprocessing(task.unit_s)
        return extract(named, task.manifest, readout, preprocessing, **self.extraction())

    def extraction(self) -> dict[str, Any]:
        """What `extract` takes besides encoder and clips."""
        return {
            "cache": self.cache,
            "batch_size": self.batch_size,
            "device": self.device,
            "precision": self.precision,
            "n_workers": self.n_workers,
            "progress": self.progress,
        }

    def scene(self, named: NamedEncoder, task: Task, **about: Any) -> Record:
        """Record of the scene embedding; `about` as of `score_record`."""
        start = time.monotonic()
        embeddings = self.embed(named, task, "scene").scene
        return self._record(named, task, embeddings.numpy(), start, **about)

    def layers(self, named: NamedEncoder, task: Task) -> Iterator[Record]:
        """Record of each layer in turn."""
        names = list(named.encoder.layer_strides)
        layers = self.embed(named, task, "layers").layers
        for index, name in enumerate(names, start=1):
            about = {"layer": (name, index, len(names)), "base": named.name}
            yield self._record(named, task, layers[name].numpy(), time.monotonic(), **about)

    def fused(self, named: NamedEncoder, base: NamedEncoder, task: Task) -> Record:
        """Record of fused layers of `base`."""
        names = named.encoder.names if isinstance(named.encoder, FusedEncoder) else ()
        return self.scene(named, task, fusion=(base.name, names))

    def _record(
        self,
        named: NamedEncoder,
        task: Task,
        embeddings: Float[np.ndarray, "clip dim"],
        start: float,
        **about: Any,
    ) -> Record:
        scores, probe = self._probe(embeddings, task)
        wall_s = time.monotonic() - start
        settings = self.settings(task)
        return score_record(
            self.name, task.name, named, scores, settings, wall_s, probe=probe, **about
        )

    def _probe(
        self, embeddings: Float[np.ndarray, "clip dim"], task: Task
    ) -> tuple[dict[str, Values], dict[str, Any]]:
        """Scores by metric, and what was chosen on validation clips."""
        if self.protocol is None:
            return {"accuracy": probe_manifest(embeddings, task.manifest)}, {}
        result = probe_task(
            embeddings,
            manifest_targets(task.manifest, task.metric),
            probe_parts(task.manifest),
            len(task.manifest.classes),
            task.metric,
            self.protocol,
            device=self.device,
            progress=self.progress,
        )
        values = {
            f"seed {seed}": {part: scores[seed] for part, scores in result.per_part.items()}
            for seed in self.protocol.seeds
        }
        return {result.metric: values}, {"learning_rates": result.learning_rates}


def fused_base(named: NamedEncoder) -> NamedEncoder:
    """The encoder whose layers are fused.

    Raises:
        ValueError: If `named` fuses nothing.
    """
    fused = named.encoder
    if not isinstance(fused, FusedEncoder):
        raise ValueError(f"{named.name} fuses nothing: name layers, as in '{named.name}[1,2]'")
    word, layers = split_layers(named.name)
    name = word if layers else f"{word}, not fused"
    return NamedEncoder(name, fused.encoder, content_hash(fused.encoder))


def ensemble_members(named: NamedEncoder) -> list[NamedEncoder]:
    """Each member of an ensemble as an encoder of its own, with its choice of layers.

    Raises:
        ValueError: If `named` is no ensemble.
    """
    if not isinstance(named.encoder, EnsembleEncoder):
        raise ValueError(f"{named.name} is no ensemble: give a YAML file with the key 'ensemble'")
    alone = [EnsembleEncoder([member], "concat") for member in named.encoder.members]
    return [
        NamedEncoder(
            f"{named.name}, member {number}: {type(encoder.members[0].encoder).__name__}",
            encoder,
            content_hash(encoder),
        )
        for number, encoder in enumerate(alone, start=1)
    ]
