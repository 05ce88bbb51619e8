"""Retrieval with a text modifier: from a table of pairs to score records, systems and an example.

A system is trained for each scene and seed, as the paper's figures are per scene.
"""

import argparse
import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from byola_diff.data.manifest import SPLITS
from byola_diff.data.pairs import PairTable, read_pairs
from byola_diff.evaluation.embeddings.extract import count_cached
from byola_diff.evaluation.embeddings.preprocessing import Preprocessing
from byola_diff.evaluation.encoders.open import NamedEncoder
from byola_diff.evaluation.results.exhibits import write_exhibit
from byola_diff.evaluation.results.scores import Record, score_record
from byola_diff.evaluation.retrieval.embedded_pairs import pair_manifest
from byola_diff.evaluation.retrieval.embedded_scene import EmbeddedScene, embed_scene
from byola_diff.evaluation.retrieval.pair_deviations import scene_deviations, table_deviations
from byola_diff.evaluation.retrieval.retrieval_example import retrieval_example
from byola_diff.evaluation.retrieval.retrieval_metrics import pessimistic_ranks, recall_at_k
from byola_diff.evaluation.retrieval.system import RetrievalSystem, SystemAbout, save_system
from byola_diff.evaluation.retrieval.text_encoders import (
    BAG_OF_WORDS,
    TextEncoder,
    open_text_encoder,
)
from byola_diff.evaluation.retrieval.train_retrieval import (
    RetrievalRules,
    TrainedRetrieval,
    retrieval_parts,
    train_retrieval,
)
from byola_diff.evaluation.runs.deviations import deviations
from byola_diff.evaluation.runs.jobs import Job
from byola_diff.evaluation.runs.retrieval_options import USUAL_RETRIEVAL
from byola_diff.models.precision import resolved_precision

PROTOCOL = "retrieval"
_KS = (1, 5, 10)


def retrieval_job(path: Path, options: argparse.Namespace) -> Job:
    """All scenes of a table of pairs; everything is checked before anything is embedded.

    Raises:
        ValueError: If the table or an option can't be used, or a scene lacks pairs to train on or
            to test.
        FileNotFoundError: If there are no weights of the text encoder; says where to get them.
    """
    table = read_pairs(path)
    run = RetrievalRun(path, options, open_text_encoder(options.text_encoder, options.device))
    scenes = {scene: table.of_scene(scene) for scene in table.scenes}
    for scene, pairs in scenes.items():
        try:
            _check(pairs, options.seeds, run.rules)
        except ValueError as error:
            raise ValueError(f"{path}: scene {scene}: {error}") from error

    def records(named: NamedEncoder) -> Iterator[Record]:
        for scene, pairs in scenes.items():
            yield from run.records(named, scene, pairs)

    def plan(named: NamedEncoder) -> Iterator[str]:
        for scene, pairs in scenes.items():
            yield run.plan(named, scene, pairs)

    settings = {**run.settings(), "deviations": run.deviations()}
    task = task_name(table.scenes[0]) if len(scenes) == 1 else "apwd"
    return Job(PROTOCOL, task, settings, records, plan, pair_manifest(table), Preprocessing())


def task_name(scene: str) -> str:
    """Of a scene, in records."""
    return f"apwd_{scene}"


@dataclass(frozen=True)
class RetrievalRun:
    """How encoders are evaluated on a table, whatever the encoder and scene."""

    path: Path
    options: argparse.Namespace
    text_encoder: TextEncoder

    @property
    def rules(self) -> RetrievalRules:
        """Of the training."""
        precision = resolved_precision(self.options.precision, self.options.device)
        return RetrievalRules(max_epochs=self.options.epochs, precision=precision)

    def settings(self) -> dict[str, Any]:
        """What a record says of how it came about, whatever the scene."""
        return {
            **asdict(self.rules),
            "seeds": list(self.options.seeds),
            "text_encoder": self.options.text_encoder,
            "text_encoder_sha256": self.text_encoder.content_hash,
            "standardised": "audio embeddings, by the clips of training pairs",
            "device": torch.device(self.options.device).type,
        }

    def deviations(self) -> list[str]:
        """In what the protocol, or the table as a whole, is not as published."""
        found = deviations(self.options, USUAL_RETRIEVAL)
        if self.options.text_encoder == BAG_OF_WORDS:
            found.append("text encoder: bag-of-words, not DistilBERT")
        return found + table_deviations(self.path)

    def scene_settings(self, table: PairTable) -> dict[str, Any]:
        """`settings` with what is particular to the pairs of a scene."""
        counts = {split: len(table.in_split(split)) for split in SPLITS}
        digest = hashlib.sha256(repr(table.pairs).encode()).hexdigest()
        found = [*self.deviations(), *scene_deviations(table)]
        return {**self.settings(), "n_pairs": counts, "pairs_sha256": digest, "deviations": found}

    def extraction(self) -> dict[str, Any]:
        """What `extract` takes besides encoder and clips."""
        return {
            "cache": self.options.cache,
            "batch_size": self.options.batch_size,
            "device": self.options.device,
            "precision": self.options.precision,
            "n_workers": self.options.workers,
        }

    def records(self, named: NamedEncoder, scene: str, table: PairTable) -> Iterator[Record]:
        """The record of a scene; then systems and an example are written."""
        start = time.monotonic()
        device = self.options.device
        embedded = embed_scene(table, named, self.text_encoder, self.extraction(), device)
        settings = self.scene_settings(table)
        folder = self.options.systems / _system_name(named, scene, settings)
        scores: dict[str, dict[str, float]] = {f"recall@{k}": {} for k in _KS}
        best_epochs, networks = {}, []
        for seed in self.options.seeds:
            parts = retrieval_parts(table, seed, self.rules)
            trained = train_retrieval(embedded.pairs, *parts, seed, self.rules, progress=True)
            for k, share in _recalls(embedded, trained).items():
                scores[f"recall@{k}"][f"seed {seed}"] = share
            best_epochs[f"seed {seed}"] = trained.best_epoch
            system = self._system(named, scene, embedded, trained, seed, settings)
            save_system(system, folder / f"seed_{seed}")
            networks.append(trained.network)
        probe = {"best_epochs": best_epochs, "systems": str(folder)}
        wall_s = time.monotonic() - start
        task = task_name(scene)
        yield score_record(PROTOCOL, task, named, scores, settings, wall_s, probe=probe)
        latents = embedded.test_latents(networks[0])
        title = f"{task}: {named.name}, seed {self.options.seeds[0]}, {self.options.text_encoder}"
        example = retrieval_example(table, *latents, title, named.encoder.sample_rate)
        name = f"{PROTOCOL} {folder.name}"
        write_exhibit(self.options.out / "exhibits", name, example)

    def plan(self, named: NamedEncoder, scene: str, table: PairTable) -> str:
        """What `records` would do, in words; nothing is embedded."""
        manifest, options = pair_manifest(table), self.options
        n_test = len(table.in_split("test"))
        n_cached = count_cached(
            named,
            manifest,
            "scene",
            Preprocessing(),
            cache=options.cache,
            device=options.device,
            precision=options.precision,
        )
        return (
            f"{named.name} ({named.encoder.sample_rate} Hz, "
            f"{named.encoder.scene_embedding_size}-dimensional, {named.content_hash[:8]}) on "
            f"{task_name(scene)}: {len(manifest.clips)} clips, {n_cached} of them cached; "
            f"{len(table.pairs) - n_test} training pairs, {n_test} queries; "
            f"{len(options.seeds)} systems of {options.epochs} epochs with {options.text_encoder}"
        )

    def _system(
        self,
        named: NamedEncoder,
        scene: str,
        embedded: EmbeddedScene,
        trained: TrainedRetrieval,
        seed: int,
        settings: Mapping[str, Any],
    ) -> RetrievalSystem:
        about = SystemAbout(
            scene=scene,
            seed=seed,
            best_epoch=trained.best_epoch,
            encoder=named.name,
            encoder_sha256=named.content_hash,
            text_encoder=self.options.text_encoder,
            text_encoder_sha256=self.text_encoder.content_hash,
            audio_features=embedded.pairs.audio.shape[1],
            text_features=embedded.pairs.text.shape[1],
            dim=self.rules.dim,
            classes=embedded.table.classes,
            pairs=str(self.path.resolve()),
            settings=settings,
        )
        return RetrievalSystem(trained.network, embedded.mean, embedded.deviation, about)


def _check(table: PairTable, seeds: list[int], rules: RetrievalRules) -> None:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"a seed occurs twice in {' '.join(map(str, seeds))}")
    retrieval_parts(table, seeds[0], rules)
    if not table.in_split("test"):
        raise ValueError("no test pairs")


def _recalls(embedded: EmbeddedScene, trained: TrainedRetrieval) -> dict[int, float]:
    query, gallery = embedded.test_latents(trained.network)
    ranks = pessimistic_ranks(query, gallery, torch.arange(len(query), device=query.device))
    return {k: recall_at_k(ranks, k) for k in _KS}


def _system_name(named: NamedEncoder, scene: str, settings: Mapping[str, Any]) -> str:
    """One name for each encoder content, scene and setting."""
    whole = json.dumps([named.content_hash, scene, settings], sort_keys=True)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    words = (task_name(scene), named.name[-60:])
    clean = (re.sub(r"[^A-Za-z0-9.]+", "_", word).strip("_.") for word in words)
    return f"{'-'.join(clean)}-{digest}"
