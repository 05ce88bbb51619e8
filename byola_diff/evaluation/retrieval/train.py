"""Pairs as tables of embeddings on one device, and the training of the adapters on them.

Each clip and each text is there once: 50 000 pairs of 3072 features take 1.2 GB, and no more
however often they are gone through. Audio embeddings are standardised by the clips of training
pairs, those validated by among them. Nothing is read while it trains: batches are gathered on the
device. The epoch of lowest validation loss is kept.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.jobs import embed_whole
from byola_diff.evaluation.options import EmbeddingOptions
from byola_diff.evaluation.retrieval.network import (
    PairBatch,
    RetrievalNetwork,
    retrieval_loss,
    seeded_retrieval_network,
)
from byola_diff.evaluation.retrieval.text_encoders import TextEncoder
from byola_diff.probing.standard import mean_and_deviation
from byola_diff.progress import progress
from byola_diff.randomness import torch_generator
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.pairs import PairTable

_PAIRS_AT_ONCE = 4096
_FEATURES_AT_ONCE = 64


@dataclass(frozen=True)
class EmbeddedPairs:
    """Pairs of places in the tables, first clips before second clips; all tensors on one device."""

    audio: Float32[Tensor, "clip feature"]
    text: Float32[Tensor, "wording width"]
    clips: Int[Tensor, "2 pair"]
    wording: Int[Tensor, " pair"]
    labels: Float[Tensor, "2 pair class"]

    def __post_init__(self) -> None:
        for name, table in (("audio clips", self.audio), ("texts", self.text)):
            if bad := int((~table.isfinite().all(dim=1)).sum()):
                raise ValueError(f"embeddings of {bad} {name} are NaN or infinite")

    def batch(self, rows: Int[Tensor, " row"]) -> PairBatch:
        """The pairs at these places."""
        return PairBatch(
            self.audio.index_select(0, self.clips[:, rows].flatten()),
            self.text.index_select(0, self.wording[rows]),
            self.labels[:, rows].flatten(0, 1),
        )

    @torch.no_grad()
    def test_latents(
        self, table: PairTable, network: RetrievalNetwork
    ) -> tuple[Float[Tensor, "query dim"], Float[Tensor, "query dim"]]:
        """Unit vectors of the queries and of the gallery, which is the second clips of test pairs.

        Query k belongs to candidate k.
        """
        test = [row for row, pair in enumerate(table.pairs) if pair.split == "test"]
        queries, candidates = [], []
        for rows in torch.tensor(test, device=self.audio.device).split(_PAIRS_AT_ONCE):
            audio, text, _ = self.batch(rows)
            first, second = audio.chunk(2)
            queries.append(network.query(first, text))
            candidates.append(network.target(second))
        return torch.cat(queries), torch.cat(candidates)


def embed_scene(
    table: PairTable, named: NamedEncoder, text_encoder: TextEncoder, options: EmbeddingOptions
) -> tuple[EmbeddedPairs, Float32[Tensor, " feature"], Float32[Tensor, " feature"]]:
    """The pairs of a scene, and mean and deviation that their audio was standardised by.

    Each clip and each wording is embedded once. Raises as `embed`, and a ValueError if the
    embedding of a text is not finite.
    """
    manifest = pair_manifest(table)
    audio = embed_whole(named, manifest, options)
    train = [row for row, clip in enumerate(manifest.clips) if clip.split == "train"]
    mean, deviation = statistics(audio, torch.tensor(train))
    audio.sub_(mean).div_(deviation)  # in place: a second table may not fit into memory
    texts = sorted({pair.text for pair in table.pairs})
    clip_of = {clip.file: place for place, clip in enumerate(manifest.clips)}
    text_of = {text: place for place, text in enumerate(texts)}
    column_of = {name: column for column, name in enumerate(table.classes)}
    labels = np.zeros((2, len(table.pairs), len(table.classes)), np.float32)
    for row, pair in enumerate(table.pairs):
        for side, names in enumerate((pair.first_labels, pair.second_labels)):
            labels[side, row, [column_of[name] for name in names]] = 1
    sides = [[clip_of[getattr(pair, s)] for pair in table.pairs] for s in ("first", "second")]
    pairs = EmbeddedPairs(
        audio=audio.to(options.device),
        text=text_encoder.embed(texts).to(options.device),
        clips=torch.tensor(sides, device=options.device),
        wording=torch.tensor([text_of[pair.text] for pair in table.pairs], device=options.device),
        labels=torch.from_numpy(labels).to(options.device),
    )
    return pairs, mean, deviation


def pair_manifest(table: PairTable) -> Manifest:
    """All clips of the pairs, each once, sorted by file; a clip has the split of its pairs.

    Its clips have no labels: those of pairs stay with the pairs.
    """
    splits = {file: pair.split for pair in table.pairs for file in (pair.first, pair.second)}
    clips = [Clip(file, (), split=split) for file, split in sorted(splits.items())]
    return Manifest(table.root, tuple(clips), ())


def statistics(
    embeddings: Float32[Tensor, "clip feature"], rows: Int[Tensor, " row"]
) -> tuple[Float32[Tensor, " feature"], Float32[Tensor, " feature"]]:
    """Mean and deviation of each feature over the clips at `rows`, as `mean_and_deviation`.

    By some features at a time, as a table in double precision may not fit into memory.
    """
    parts = embeddings.split(_FEATURES_AT_ONCE, dim=1)
    found = [np.stack(mean_and_deviation(part[rows].numpy())) for part in parts]
    mean, deviation = torch.from_numpy(np.concatenate(found, axis=1)).float()
    return mean, deviation


@dataclass(frozen=True)
class RetrievalRules:
    """How every system is trained. Epochs and the validation share are the paper's."""

    max_epochs: int = 300
    batch_size: int = 512
    learning_rate: float = 1e-3
    class_weight: float = 1.0
    valid_share: float = 0.1
    dim: int = 512
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of products in the adapters; losses and results are float32."""


@dataclass(frozen=True)
class TrainedRetrieval:
    """A network at its best epoch."""

    network: RetrievalNetwork
    best_epoch: int
    valid_losses: tuple[float, ...]
    """By epoch."""


def retrieval_parts(
    table: PairTable, seed: int, rules: RetrievalRules
) -> tuple[Int[Tensor, " train"], Int[Tensor, " valid"]]:
    """Places of the pairs to train on and to validate by.

    Validation pairs are those of the split valid, or else a share of the training pairs.

    Raises:
        ValueError: If one of the two parts is empty.
    """
    splits = np.array([pair.split for pair in table.pairs])
    train, valid = (torch.from_numpy(np.flatnonzero(splits == p)) for p in ("train", "valid"))
    if not len(valid) and len(train) > 1:
        order = torch.randperm(len(train), generator=torch_generator("retrieval validation", seed))
        n_valid = max(1, round(rules.valid_share * len(train)))
        valid = train[order[:n_valid].sort().values]
        train = train[order[n_valid:].sort().values]
    if not len(train) or not len(valid):
        raise ValueError(
            f"{len(train)} training and {len(valid)} validation pairs: both are needed; add "
            "pairs of split train, of which a part serves for validation, or of split valid"
        )
    return train, valid


def train_retrieval(
    pairs: EmbeddedPairs,
    train: Int[Tensor, " train"],
    valid: Int[Tensor, " valid"],
    seed: int,
    rules: RetrievalRules,
) -> TrainedRetrieval:
    """A network trained on the device of the pairs, at its best epoch: of equal ones, the first.

    `train` are the places of the pairs to train on, `valid` those of pairs whose loss decides;
    weights and order of the pairs depend on `seed`.

    Raises:
        ValueError: If the validation loss never was a number.
    """
    device = pairs.audio.device
    sizes = (pairs.audio.shape[1], pairs.text.shape[1], pairs.labels.shape[2])
    network = seeded_retrieval_network(seed, *sizes, rules.dim).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=rules.learning_rate, fused=True)
    valid = valid.to(device)
    lowest, best_epoch, weights, losses = math.inf, 0, {}, []
    for epoch in progress(range(1, rules.max_epochs + 1), unit="epochs", leave=False):
        # An order of seed and epoch alone.
        generator = torch_generator("retrieval order", seed, epoch)
        order = torch.randperm(len(train), generator=generator)
        for rows in train[order].to(device).split(rules.batch_size):
            optimizer.zero_grad()
            _loss(network, pairs, rows, rules).backward()
            optimizer.step()
            network.bound_temperature()
        losses.append(validation_loss(network, pairs, valid, rules))
        if losses[-1] < lowest:  # NaN never is
            lowest, best_epoch = losses[-1], epoch
            weights = {name: value.clone() for name, value in network.state_dict().items()}
    if not weights:
        raise ValueError("the validation loss never was a number: the training diverged")
    network.load_state_dict(weights)
    return TrainedRetrieval(network.eval().requires_grad_(False), best_epoch, tuple(losses))


@torch.no_grad()
def validation_loss(
    network: RetrievalNetwork,
    pairs: EmbeddedPairs,
    rows: Int[Tensor, " row"],
    rules: RetrievalRules,
) -> float:
    """Mean loss over the pairs, in batches as large as those of the training.

    The contrastive loss depends on the size of the batch, so it is not taken over all at once.
    """
    total = torch.zeros((), dtype=torch.float64, device=rows.device)
    for part in rows.split(rules.batch_size):
        total += _loss(network, pairs, part, rules).double() * len(part)
    return (total / len(rows)).item()


def _loss(
    network: RetrievalNetwork, pairs: EmbeddedPairs, rows: Tensor, rules: RetrievalRules
) -> Tensor:
    is_short = rules.precision == "bfloat16"
    with torch.autocast(rows.device.type, torch.bfloat16, enabled=is_short):
        return retrieval_loss(network, pairs.batch(rows), rules.class_weight)["total"]
