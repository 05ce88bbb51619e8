"""The pairs of one scene with the embeddings of an audio and a text encoder: what systems learn on.

Audio embeddings are standardised by the clips of training pairs, those validated by among them.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from byola_diff.embeddings.extract import ExtractionOptions, embed
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.retrieval.embedded_pairs import (
    EmbeddedPairs,
    embedded_pairs,
    pair_manifest,
    statistics,
    unique_texts,
)
from byola_diff.evaluation.retrieval.network import RetrievalNetwork
from byola_diff.evaluation.retrieval.text_encoders import TextEncoder
from byola_diff.tables.pairs import PairTable
from byola_diff.tables.preprocessing import Preprocessing

_CHUNK = 4096


@dataclass(frozen=True)
class EmbeddedScene:
    """Tables on a device, and what their audio was standardised by."""

    table: PairTable
    pairs: EmbeddedPairs
    mean: Float32[Tensor, " feature"]
    deviation: Float32[Tensor, " feature"]

    @property
    def test(self) -> Int[Tensor, " query"]:
        """Places of the test pairs: query k belongs to candidate k."""
        rows = [row for row, pair in enumerate(self.table.pairs) if pair.split == "test"]
        return torch.tensor(rows, dtype=torch.int64, device=self.pairs.audio.device)

    @torch.no_grad()
    def test_latents(
        self, network: RetrievalNetwork
    ) -> tuple[Float[Tensor, "query dim"], Float[Tensor, "query dim"]]:
        """Unit vectors of the queries and of the gallery: the second clips of the test pairs."""
        queries, candidates = [], []
        for rows in self.test.split(_CHUNK):
            batch = self.pairs.batch(rows)
            first, second = batch.audio.chunk(2)
            queries.append(network.query(first, batch.text))
            candidates.append(network.target(second))
        return torch.cat(queries), torch.cat(candidates)


def embed_scene(
    table: PairTable,
    named: NamedEncoder,
    text_encoder: TextEncoder,
    extraction: ExtractionOptions,
    device: torch.device | str = "cpu",
) -> EmbeddedScene:
    """All clips and wordings of a scene, each embedded once; clips come from the cache.

    Args:
        table: Of one scene.
        named: Encoder of the clips, taken whole.
        text_encoder: Of the texts.
        extraction: How clips are embedded.
        device: Where the tables go.

    Raises:
        UnreadableClipsError: If clips can't be read.
        ValueError: If an embedding is not finite.
    """
    manifest = pair_manifest(table)
    audio = embed(named, manifest, "scene", Preprocessing(), extraction).scene
    train = [row for row, clip in enumerate(manifest.clips) if clip.split == "train"]
    mean, deviation = statistics(audio, torch.tensor(train, dtype=torch.int64))
    audio.sub_(mean).div_(deviation)  # in place: a second table may not fit into memory
    texts = unique_texts(table.pairs)
    text = text_encoder.embed(texts)
    pairs = embedded_pairs(table, manifest.clips, audio, texts, text, device)
    return EmbeddedScene(table, pairs, mean, deviation)
