"""Pairs as tables of embeddings on one device: each clip and each text is there once.

50 000 pairs of 3072 features take 1.2 GB, and no more however often they are gone through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.pairs import Pair, PairTable

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
        table: Its pairs and classes.
        clips: Whose embeddings `audio` holds; those of `pair_manifest`.
        audio: Embeddings of the clips, standardised. On the same device, no copy is made.
        texts: Wordings whose embeddings `text` holds.
        text: Embeddings of the wordings.
        device: Where all tables go.

    Raises:
        ValueError: If an embedding is not finite.
    """
    clip_of = {clip.file: place for place, clip in enumerate(clips)}
    wording_of = {wording: place for place, wording in enumerate(texts)}

    def places(found: Sequence[int]) -> Tensor:
        return torch.tensor(found, dtype=torch.int64, device=device)

    return EmbeddedPairs(
        audio=audio.to(device),
        text=text.to(device),
        first=places([clip_of[pair.first] for pair in table.pairs]),
        second=places([clip_of[pair.second] for pair in table.pairs]),
        wording=places([wording_of[pair.text] for pair in table.pairs]),
        first_labels=_multi_hot([p.first_labels for p in table.pairs], table.classes).to(device),
        second_labels=_multi_hot([p.second_labels for p in table.pairs], table.classes).to(device),
    )


def unique_texts(pairs: Sequence[Pair]) -> list[str]:
    """All texts, each once, sorted."""
    return sorted({pair.text for pair in pairs})


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
