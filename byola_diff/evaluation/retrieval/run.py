"""Retrieval with a text modifier: from a table of pairs to score records, systems and an example.

A system is trained for each scene and seed, as the paper's figures are per scene.
"""

import hashlib
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from byola_diff.audio.files import AudioFileError
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.jobs import Job
from byola_diff.evaluation.options import deviations
from byola_diff.evaluation.recall import cosine_ranks, recall_at_k
from byola_diff.evaluation.retrieval.embedded_pairs import (
    EmbeddedScene,
    embed_scene,
    pair_manifest,
)
from byola_diff.evaluation.retrieval.example import retrieval_example
from byola_diff.evaluation.retrieval.options import USUAL_RETRIEVAL, RetrievalOptions
from byola_diff.evaluation.retrieval.pair_deviations import scene_deviations, table_deviations
from byola_diff.evaluation.retrieval.system import (
    RetrievalSystem,
    SystemAbout,
    save_system,
    system_name,
)
from byola_diff.evaluation.retrieval.text_encoders import (
    BAG_OF_WORDS,
    TextEncoder,
    open_text_encoder,
)
from byola_diff.evaluation.retrieval.train import (
    RetrievalRules,
    TrainedRetrieval,
    retrieval_parts,
    train_retrieval,
)
from byola_diff.evaluation.whole_clips import WHOLE, count_embedded
from byola_diff.models.precision import resolved_precision
from byola_diff.reports.extras import write_extra
from byola_diff.scores import ScoreRecord, score_record
from byola_diff.tables.manifest import SPLITS
from byola_diff.tables.pairs import PairTable, read_pairs

PROTOCOL = "retrieval"
_KS = (1, 5, 10)


def retrieval_jobs(options: RetrievalOptions) -> list[Job]:
    """A job for each table of `--pairs`.

    Raises:
        ValueError: If two tables have pairs of one scene, whose scores would be of one name; and as
            `retrieval_job`.
    """
    table_of: dict[str, Path] = {}
    for path in options.pairs:
        for scene in read_pairs(path).scenes:
            if scene in table_of:
                raise ValueError(
                    f"{table_of[scene]} and {path} both have pairs of the scene {scene}: give them "
                    "in two commands with --out of their own"
                )
            table_of[scene] = path
    return [retrieval_job(path, options) for path in options.pairs]


def retrieval_job(path: Path, options: RetrievalOptions) -> Job:
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

    def records(named: NamedEncoder) -> Iterator[ScoreRecord]:
        for pairs in scenes.values():
            yield from run.records(named, pairs)

    def plan(named: NamedEncoder) -> Iterator[str]:
        for pairs in scenes.values():
            yield run.plan(named, pairs)

    settings = {**run.settings(), "deviations": run.deviations()}
    task = task_name(next(iter(scenes.values()))) if len(scenes) == 1 else "apwd"
    return Job(PROTOCOL, task, settings, records, plan, pair_manifest(table), WHOLE)


def task_name(table: PairTable) -> str:
    """Task in records of a table of one scene."""
    return f"apwd_{table.scenes[0]}"


@dataclass(frozen=True)
class RetrievalRun:
    """How encoders are evaluated on a table, whatever the encoder and scene."""

    path: Path
    options: RetrievalOptions
    text_encoder: TextEncoder

    @property
    def rules(self) -> RetrievalRules:
        """Rules of the training."""
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
        """Where the protocol, or the table as a whole, is not as published."""
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

    def records(self, named: NamedEncoder, table: PairTable) -> Iterator[ScoreRecord]:
        """The record of a scene; systems are written before, and an example after it."""
        start, options = time.monotonic(), self.options
        embedded = embed_scene(table, named, self.text_encoder, options)
        settings, task = self.scene_settings(table), task_name(table)
        folder = options.systems / system_name(task, named, settings)
        trained = {seed: self._train(embedded, seed) for seed in options.seeds}
        scores: dict[str, dict[str, float]] = {}
        for seed, system in trained.items():
            for metric, share in _recalls(embedded, system).items():
                scores.setdefault(metric, {})[f"seed {seed}"] = share
            self._save(folder / f"seed_{seed}", named, embedded, system, seed, settings)
        best_epochs = {f"seed {seed}": system.best_epoch for seed, system in trained.items()}
        probe = {"best_epochs": best_epochs, "systems": str(folder)}
        wall_s = time.monotonic() - start
        yield score_record(PROTOCOL, task, named, scores, settings, wall_s, probe=probe)
        for seed in options.seeds:
            print(f"  system for search: {folder / f'seed_{seed}'}", flush=True)
        title = f"{task}: {named.name}, seed {options.seeds[0]}, {options.text_encoder}"
        latents = embedded.test_latents(trained[options.seeds[0]].network)
        try:
            example = retrieval_example(table, *latents, title, named.encoder.sample_rate)
            write_extra(options.out / "exhibits", f"{PROTOCOL} {folder.name}", example)
        except (ModuleNotFoundError, AudioFileError) as error:  # scores stand without it
            print(f"no exhibit of {self.path}: {error}", file=sys.stderr)

    def plan(self, named: NamedEncoder, table: PairTable) -> str:
        """What `records` would do, in words; nothing is embedded."""
        manifest, options = pair_manifest(table), self.options
        n_test = len(table.in_split("test"))
        n_cached = count_embedded(named, manifest, options)
        return (
            f"{named.name} ({named.encoder.sample_rate} Hz, "
            f"{named.encoder.scene_embedding_size}-dimensional, {named.content_hash[:8]}) on "
            f"{task_name(table)}: {len(manifest.clips)} clips, {n_cached} of them cached; "
            f"{len(table.pairs) - n_test} training pairs, {n_test} queries; "
            f"{len(options.seeds)} systems of {options.epochs} epochs with {options.text_encoder}"
        )

    def _train(self, embedded: EmbeddedScene, seed: int) -> TrainedRetrieval:
        parts = retrieval_parts(embedded.table, seed, self.rules)
        return train_retrieval(embedded.pairs, *parts, seed, self.rules, progress=True)

    def _save(
        self,
        folder: Path,
        named: NamedEncoder,
        embedded: EmbeddedScene,
        trained: TrainedRetrieval,
        seed: int,
        settings: dict[str, Any],
    ) -> None:
        """Keep the system of a seed for search."""
        texts = [pair.text for pair in embedded.table.pairs if pair.split != "test"]
        words = self.text_encoder.vocabulary(texts)
        about = SystemAbout(
            scene=embedded.table.scenes[0],
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
            words=None if words is None else tuple(sorted(words)),
            settings=settings,
        )
        statistics = (embedded.mean, embedded.deviation)
        save_system(RetrievalSystem(trained.network, *statistics, about), folder)


def _check(table: PairTable, seeds: list[int], rules: RetrievalRules) -> None:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"a seed occurs twice in {' '.join(map(str, seeds))}")
    retrieval_parts(table, seeds[0], rules)
    if not table.in_split("test"):
        raise ValueError("no test pairs: add rows of split test")


def _recalls(embedded: EmbeddedScene, trained: TrainedRetrieval) -> dict[str, float]:
    query, gallery = embedded.test_latents(trained.network)
    ranks = cosine_ranks(query, gallery, torch.arange(len(query), device=query.device))
    return {f"recall@{k}": recall_at_k(ranks, k) for k in _KS}
