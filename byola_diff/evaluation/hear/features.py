"""Embeddings of a HEAR task by split: one row per clip, or one per timestamp."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from byola_diff.embeddings.extracted import Extracted, Readout
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.hear.task_folder import HearTask
from byola_diff.tables.manifest import Manifest

ClipExtractor = Callable[[NamedEncoder, Manifest, Readout], Extracted]
"""`embeddings/extract.py::extract` with all else that it takes: whole clips, cache, device."""


@dataclass(frozen=True)
class SplitFeatures:
    """Embeddings of a split."""

    embeddings: Float32[Tensor, "row dim"]
    """A row for each clip; for events, one for each frame, file after file."""
    times_ms: tuple[np.ndarray, ...] = ()
    """Of events: of the frames of each file."""


@dataclass(frozen=True)
class TaskFeatures:
    """Embeddings of all splits."""

    splits: Mapping[str, SplitFeatures]
    precision: str
    """float32 or bfloat16: what the encoder's networks ran in."""
    device: str
    """Type of the device that they ran on."""

    def embeddings(self, splits: Sequence[str]) -> Float32[Tensor, "row dim"]:
        """Of some splits, one after the other; a single one is not copied."""
        parts = [self.splits[split].embeddings for split in splits]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def times_ms(self, splits: Sequence[str]) -> list[np.ndarray]:
        """Of events: of the frames of each file."""
        return [times for split in splits for times in self.splits[split].times_ms]


def embed_task(task: HearTask, named: NamedEncoder, extract: ClipExtractor) -> TaskFeatures:
    """Embeddings of all splits. No label is looked at.

    Raises:
        ValueError: As `extract`, if files can't be read, or an embedding is NaN or infinite.
    """
    manifest = task.manifest(named.encoder.sample_rate)
    sizes = {split: len(task.files[split]) for split in task.metadata.splits}
    if task.metadata.embedding_type == "scene":
        extracted = extract(named, manifest, "scene")
        parts = map(SplitFeatures, extracted.scene.split(list(sizes.values())))
    else:
        extracted = extract(named, manifest, "timestamps")
        frames = extracted.pop_timestamps()
        parts = (_joined(islice(frames, size)) for size in sizes.values())
    splits = dict(zip(sizes, parts, strict=True))
    return TaskFeatures(splits, extracted.precision, extracted.device)


def _joined(frames: Iterable[tuple[Tensor, Tensor]]) -> SplitFeatures:
    embeddings, times_ms = zip(*frames, strict=True)
    return SplitFeatures(torch.cat(embeddings), tuple(times.double().numpy() for times in times_ms))
