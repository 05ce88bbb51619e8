"""Pairs as tables of embeddings on one device: each clip and each text is there once.

50 000 pairs of 3072 features take 1.2 GB, and no more however often they are gone through. Audio
embeddings are standardised by the clips of training pairs, those validated by among them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.jobs import embed_whole
from byola_diff.evaluation.options import EmbeddingOptions
from byola_diff.evaluation.retrieval.network import PairBatch, RetrievalNetwork
from byola_diff.evaluation.retrieval.text_encoders import TextEncoder
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.pairs import PairTable

_CHUNK = 4096


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
        for rows in torch.tensor(test, device=self.audio.device).split(_CHUNK):
            batch = self.batch(rows)
            first, second = batch.audio.chunk(2)
            queries.append(network.query(first, batch.text))
            candidates.append(network.target(second))
        return torch.cat(queries), torch.cat(candidates)


def embed_scene(
    table: PairTable, named: NamedEncoder, text_encoder: TextEncoder, options: EmbeddingOptions
) -> tuple[EmbeddedPairs, Float32[Tensor, " feature"], Float32[Tensor, " feature"]]:
    """The pairs of a scene, and mean and deviation that their audio was standardised by.

    Each clip and each wording is embedded once; clips come from the cache.

    Raises:
        UnreadableClipsError: If clips can't be read.
        ValueError: If an embedding is not finite.
    """
    manifest = pair_manifest(table)
    audio = embed_whole(named, manifest, options)
    train = [row for row, clip in enumerate(manifest.clips) if clip.split == "train"]
    mean, deviation = statistics(audio, torch.tensor(train, dtype=torch.int64))
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
    """Mean and deviation of each feature over the clips at `rows`; 1 for a constant feature.

    In double precision by parts, as a table in double precision may not fit into memory.
    """
    total = torch.zeros(embeddings.shape[1], dtype=torch.float64)
    for part in rows.split(_CHUNK):
        total += embeddings[part].double().sum(0)
    mean = total / len(rows)
    squares = torch.zeros_like(mean)
    for part in rows.split(_CHUNK):
        squares += (embeddings[part].double() - mean).square().sum(0)
    deviation = (squares / len(rows)).sqrt()
    # Of a constant feature, rounding leaves a deviation that must not be divided by.
    constant = deviation <= mean.abs() * (10 * torch.finfo(torch.float32).eps)
    deviation[constant] = 1.0
    return mean.float(), deviation.float()
