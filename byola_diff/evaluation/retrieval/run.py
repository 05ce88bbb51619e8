"""Retrieval with a text modifier: from a table of pairs to score records, systems and an example.

A system is trained for each scene and seed, as the paper's figures are per scene.
"""

import hashlib
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from byola_diff.audio.files import AudioFileError
from byola_diff.corpora.prepare import deviations as count_deviations
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.jobs import Job, count_embedded
from byola_diff.evaluation.options import (
    EmbeddingOptions,
    Encoder,
    Folder,
    ScoreOptions,
    Table,
    deviations,
)
from byola_diff.evaluation.retrieval.example import retrieval_example
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
    EmbeddedPairs,
    RetrievalRules,
    embed_scene,
    pair_manifest,
    retrieval_parts,
    train_retrieval,
)
from byola_diff.models.precision import resolved_precision
from byola_diff.option_fields import RARE, Count
from byola_diff.reports.extras import write_extra
from byola_diff.scores import ScoreRecord, score_record
from byola_diff.scores.recall import cosine_ranks, recall_at_k
from byola_diff.soundscapes.production.made_set import read_made_set
from byola_diff.storage import sha256
from byola_diff.tables.pairs import PairTable, read_pairs
from byola_diff.tables.rows import SPLITS, located

PROTOCOL = "retrieval"
_KS = (1, 5, 10)
_PUBLISHED = {"training pairs": 50_000, "gallery": 1000}
"""Numbers of each scene of APwD; validation pairs count as training pairs."""
_ABOUT = "apwd.json"


@dataclass(frozen=True, kw_only=True)
class RetrievalOptions(ScoreOptions, EmbeddingOptions):
    """Options of the verb `retrieval`."""

    pairs: list[Table]
    """Tables of pairs with texts, such as pairs.csv of datasets/make_apwd.py; each scene in them is
    a task of its own."""
    text_encoder: Encoder = BAG_OF_WORDS
    """bag-of-words, which is built in, as no weights come with this program; distilbert:FOLDER as
    in the paper; or distilbert, from the download cache."""
    epochs: Count = 300
    """Epochs of training; that of lowest validation loss is kept."""
    seeds: Annotated[list[Annotated[int, "N"]], RARE] = field(default_factory=lambda: [42, 43, 44])
    """Each gives a system and a score."""
    systems: Folder = Path("runs/retrieval")
    """Folder for the trained systems, which search uses."""


def retrieval_jobs(options: RetrievalOptions) -> list[Job]:
    """A job for each scene of the tables of `--pairs`; all is checked before any clip is embedded.

    Raises:
        ValueError: If a table or an option can't be used, a scene lacks pairs to train on or to
            test, or two tables have pairs of one scene, whose scores would be of one name.
        FileNotFoundError: If there are no weights of the text encoder; says where to get them.
    """
    if len(set(options.seeds)) < len(options.seeds):
        raise ValueError(f"a seed occurs twice in {' '.join(map(str, options.seeds))}")
    text_encoder = open_text_encoder(options.text_encoder, options.device)
    table_of: dict[str, Path] = {}
    jobs = []
    for path in options.pairs:
        table = read_pairs(path)
        for scene in table.scenes:
            if scene in table_of:
                raise ValueError(
                    f"{table_of[scene]} and {path} both have pairs of the scene {scene}: give them "
                    "in two commands with --out of their own"
                )
            table_of[scene] = path
        manifest = pair_manifest(table)  # of all scenes, for encoders that take statistics
        for scene in table.scenes:
            run = RetrievalRun(path, table.of_scene(scene), options, text_encoder)
            with located(f"{path}: scene {scene}: "):
                retrieval_parts(run.table, options.seeds[0], run.rules)
                if not run.table.in_split("test"):
                    raise ValueError("no test pairs: add rows of split test")
            jobs.append(Job(PROTOCOL, run.task, run.settings(), run.records, run.plan, manifest))
    return jobs


@dataclass(frozen=True)
class RetrievalRun:
    """How encoders are evaluated on the pairs of a scene, whatever the encoder."""

    path: Path
    table: PairTable
    """The pairs of one scene of the table at `path`."""
    options: RetrievalOptions
    text_encoder: TextEncoder

    @property
    def task(self) -> str:
        """Name of the scene's task."""
        return f"apwd_{self.table.scenes[0]}"

    @property
    def rules(self) -> RetrievalRules:
        """Rules of the training."""
        precision = resolved_precision(self.options.precision, self.options.device)
        return RetrievalRules(max_epochs=self.options.epochs, precision=precision)

    def settings(self) -> dict[str, Any]:
        """What a record says of how it came about, and of what is not as published."""
        found = deviations(self.options, "epochs", "seeds")
        if self.options.text_encoder == BAG_OF_WORDS:
            found.append("text encoder: bag-of-words, not DistilBERT")
        counts = {split: len(self.table.in_split(split)) for split in SPLITS}
        used = {"training pairs": counts["train"] + counts["valid"], "gallery": counts["test"]}
        found += _table_deviations(self.path) + count_deviations(used, _PUBLISHED)
        return {
            **asdict(self.rules),
            "seeds": list(self.options.seeds),
            "text_encoder": self.options.text_encoder,
            "text_encoder_sha256": self.text_encoder.content_hash,
            "standardised": "audio embeddings, by the clips of training pairs",
            "device": torch.device(self.options.device).type,
            "n_pairs": counts,
            "pairs_sha256": hashlib.sha256(repr(self.table.pairs).encode()).hexdigest(),
            "deviations": found,
        }

    def plan(self, named: NamedEncoder) -> Iterator[str]:
        """What `records` would do, in words; nothing is embedded."""
        options, manifest = self.options, pair_manifest(self.table)
        n_test = len(self.table.in_split("test"))
        yield (
            f"{named.name} ({named.encoder.sample_rate} Hz, "
            f"{named.encoder.scene_embedding_size}-dimensional, {named.content_hash[:8]}) on "
            f"{self.task}: {len(manifest.clips)} clips, "
            f"{count_embedded(named, manifest, options)} of them cached; "
            f"{len(self.table.pairs) - n_test} training pairs, {n_test} queries; "
            f"{len(options.seeds)} systems of {options.epochs} epochs "
            f"with {options.text_encoder}"
        )

    def records(self, named: NamedEncoder) -> Iterator[ScoreRecord]:
        """The record of the scene; systems are written before, and an example after it."""
        start, options, table, task = time.monotonic(), self.options, self.table, self.task
        pairs, mean, deviation = embed_scene(table, named, self.text_encoder, options)
        settings = self.settings()
        folder = options.systems / system_name(task, named, settings)
        scores: dict[str, dict[str, float]] = {f"recall@{k}": {} for k in _KS}
        best_epochs: dict[str, int] = {}
        latents: dict[int, tuple[Tensor, Tensor]] = {}
        for seed in options.seeds:
            parts = retrieval_parts(table, seed, self.rules)
            trained = train_retrieval(pairs, *parts, seed, self.rules)
            query, gallery = latents[seed] = pairs.test_latents(table, trained.network)
            ranks = cosine_ranks(query, gallery, torch.arange(len(query), device=query.device))
            for k in _KS:
                scores[f"recall@{k}"][f"seed {seed}"] = recall_at_k(ranks, k)
            best_epochs[f"seed {seed}"] = trained.best_epoch
            how = {"seed": seed, "best_epoch": trained.best_epoch, "settings": settings}
            about = self._about(named, pairs, **how)
            system = RetrievalSystem(trained.network, mean, deviation, about)
            save_system(system, folder / f"seed_{seed}")
        probe = {"best_epochs": best_epochs, "systems": str(folder)}
        wall_s = time.monotonic() - start
        yield score_record(PROTOCOL, task, named, scores, settings, wall_s, probe=probe)
        for seed in options.seeds:
            print(f"  system for search: {folder / f'seed_{seed}'}", flush=True)
        seed = options.seeds[0]
        title = f"{task}: {named.name}, seed {seed}, {options.text_encoder}"
        try:
            example = retrieval_example(table, *latents[seed], title, named.encoder.sample_rate)
            write_extra(options.out / "exhibits", f"{PROTOCOL} {folder.name}", example)
        except (ModuleNotFoundError, AudioFileError) as error:  # scores stand without it
            print(f"no exhibit of {self.path}: {error}", file=sys.stderr)

    def _about(self, named: NamedEncoder, pairs: EmbeddedPairs, **trained: Any) -> SystemAbout:
        """What search has to know of a system, of which `trained` says how it was trained."""
        texts = [pair.text for pair in self.table.pairs if pair.split == "train"]
        words = self.text_encoder.vocabulary(texts)
        return SystemAbout(
            scene=self.table.scenes[0],
            encoder=named.name,
            encoder_sha256=named.content_hash,
            statistics=named.statistics,
            text_encoder=self.options.text_encoder,
            text_encoder_sha256=self.text_encoder.content_hash,
            audio_features=pairs.audio.shape[1],
            text_features=pairs.text.shape[1],
            dim=self.rules.dim,
            classes=self.table.classes,
            pairs=str(self.path.resolve()),
            words=None if words is None else tuple(sorted(words)),
            **trained,
        )


def _table_deviations(path: Path) -> list[str]:
    """What apwd.json beside the table tells of it, and whether it is of this very table."""
    about = path.with_name(_ABOUT)
    if not about.is_file():
        return [f"pairs: not those of APwD (there is no {_ABOUT})"]
    facts = read_made_set(about)
    found, expected = list(facts.deviations), facts.manifests.get(path.name)
    if expected is None:
        found.append(f"{path.name}: not a table that {_ABOUT} tells of")
    elif expected != sha256(path):
        found.append(f"{path.name}: altered since it was made")
    return found
