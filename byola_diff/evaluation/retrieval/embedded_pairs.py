"""Pairs as tables of embeddings on one device: each clip and each text is there once.

50 000 pairs of 3072 features take 1.2 GB, and no more however often they are gone through. Audio
embeddings are standardised by the clips of training pairs, those validated by among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.options import EmbeddingOptions
from byola_diff.evaluation.retrieval.network import RetrievalNetwork
from byola_diff.evaluation.retrieval.text_encoders import TextEncoder
from byola_diff.evaluation.whole_clips import embed_whole
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.pairs import PairTable

_CHUNK = 4096


class PairBatch(NamedTuple):
    """Some pairs. First clips come before second clips: one pass serves both."""

    audio: Float[Tensor, "clip feature"]
    text: Float[Tensor, "pair text"]
    labels: Float[Tensor, "clip class"]


@dataclass(frozen=True)
class EmbeddedPairs:
    """Pairs of places in the tables; all tensors on one device."""

    audio: Float32[Tensor, "clip feature"]
    text: Float32[Tensor, "wording width"]
    first: Int[Tensor, " pair"]
    second: Int[Tensor, " pair"]
    wording: Int[Tensor, " pair"]
    first_labels: Float[Tensor, "pair class"]
    second_labels: Float[Tensor, "pair class"]

    def __post_init__(self) -> None:
        for name, table in (("audio clips", self.audio), ("texts", self.text)):
            if bad := int((~table.isfinite().all(dim=1)).sum()):
                raise ValueError(f"embeddings of {bad} {name} are NaN or infinite")

    def batch(self, rows: Int[Tensor, " row"]) -> PairBatch:
        """The pairs at these places."""
        clips = torch.cat([self.first[rows], self.second[rows]])
        labels = torch.cat([self.first_labels[rows], self.second_labels[rows]])
        return PairBatch(
            self.audio.index_select(0, clips),
            self.text.index_select(0, self.wording[rows]),
            labels,
        )


@dataclass(frozen=True)
class EmbeddedScene:
    """The pairs of one scene with their embeddings, and what the audio was standardised by."""

    table: PairTable
    pairs: EmbeddedPairs
    mean: Float32[Tensor, " feature"]
    deviation: Float32[Tensor, " feature"]

    @torch.no_grad()
    def test_latents(
        self, network: RetrievalNetwork
    ) -> tuple[Float[Tensor, "query dim"], Float[Tensor, "query dim"]]:
        """Unit vectors of the queries and of the gallery, which is the second clips of test pairs.

        Query k belongs to candidate k.
        """
        test = [row for row, pair in enumerate(self.table.pairs) if pair.split == "test"]
        queries, candidates = [], []
        for rows in torch.tensor(test, device=self.pairs.audio.device).split(_CHUNK):
            batch = self.pairs.batch(rows)
            first, second = batch.audio.chunk(2)
            queries.append(network.query(first, batch.text))
            candidates.append(network.target(second))
        return torch.cat(queries), torch.cat(candidates)


def embed_scene(
    table: PairTable, named: NamedEncoder, text_encoder: TextEncoder, options: EmbeddingOptions
) -> EmbeddedScene:
    """All clips and wordings of a scene, each embedded once; clips come from the cache.

    Args:
        table: Pairs of one scene.
        named: Encoder of the clips.
        text_encoder: Encoder of the texts.
        options: How clips are embedded, and the device where the tables go.

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
    text = text_encoder.embed(texts)
    pairs = embedded_pairs(table, manifest.clips, audio, texts, text, options.device)
    return EmbeddedScene(table, pairs, mean, deviation)


def pair_manifest(table: PairTable) -> Manifest:
    """All clips of the pairs, each once, sorted by file; a clip has the split of its pairs.

    Its clips have no labels: those of pairs stay with the pairs.
    """
    splits = {file: pair.split for pair in table.pairs for file in (pair.first, pair.second)}
    clips = [Clip(file, (), split=split) for file, split in sorted(splits.items())]
    return Manifest(table.root, tuple(clips), ())


def embedded_pairs(
    table: PairTable,
    clips: Sequence[Clip],
    audio: Float32[Tensor, "clip feature"],
    texts: Sequence[str],
    text: Float32[Tensor, "wording width"],
    device: torch.device | str = "cpu",
) -> EmbeddedPairs:
    """The pairs of a table in its order.

    Args:
        table: Pairs and classes.
        clips: All clips of the pairs.
        audio: Embeddings of the clips, standardised. On the same device, no copy is made.
        texts: All wordings of the pairs.
        text: Embeddings of the wordings.
        device: Where all tables go.

    Raises:
        ValueError: If an embedding is not finite.
    """
    clip_of = {clip.file: place for place, clip in enumerate(clips)}
    wording_of = {wording: place for place, wording in enumerate(texts)}
    pairs = table.pairs
    places = {
        "first": [clip_of[pair.first] for pair in pairs],
        "second": [clip_of[pair.second] for pair in pairs],
        "wording": [wording_of[pair.text] for pair in pairs],
    }
    labels = {
        "first_labels": _multi_hot([pair.first_labels for pair in pairs], table.classes),
        "second_labels": _multi_hot([pair.second_labels for pair in pairs], table.classes),
    }
    tables = {name: torch.tensor(rows, dtype=torch.int64) for name, rows in places.items()}
    tables |= {"audio": audio, "text": text, **labels}
    return EmbeddedPairs(**{name: values.to(device) for name, values in tables.items()})


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


def _multi_hot(labels: Sequence[Sequence[str]], classes: Sequence[str]) -> Float[Tensor, "p c"]:
    place = {name: column for column, name in enumerate(classes)}
    multi_hot = torch.zeros(len(labels), len(classes))
    rows = [row for row, names in enumerate(labels) for _ in names]
    columns = [place[name] for names in labels for name in names]
    multi_hot[rows, columns] = 1.0
    return multi_hot
