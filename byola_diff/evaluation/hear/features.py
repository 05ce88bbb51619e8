"""Embeddings of a HEAR task by split: one row per clip, or one per timestamp."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from byola_diff.embeddings.extract import ExtractionOptions, embed
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.hear.task_folder import HearTask
from byola_diff.tables.preprocessing import Preprocessing


@dataclass(frozen=True)
class SplitFeatures:
    """Embeddings of a split."""

    embeddings: Float32[Tensor, "row dim"]
    """A row for each clip; for events, one for each frame, file after file."""
    times_ms: tuple[np.ndarray, ...] = ()
    """For events: centres of the frames of each file."""


@dataclass(frozen=True)
class TaskFeatures:
    """Embeddings of all splits."""

    splits: Mapping[str, SplitFeatures]

    def embeddings(self, splits: Sequence[str]) -> Float32[Tensor, "row dim"]:
        """Embeddings of some splits, one after the other; a single one is not copied."""
        parts = [self.splits[split].embeddings for split in splits]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def times_ms(self, splits: Sequence[str]) -> list[np.ndarray]:
        """Centres of the frames of each file of some splits, for events."""
        return [times for split in splits for times in self.splits[split].times_ms]


def embed_task(task: HearTask, named: NamedEncoder, extraction: ExtractionOptions) -> TaskFeatures:
    """Embeddings of all splits, of whole clips. No label is looked at.

    Raises:
        ValueError: As `embed`, if files can't be read, or an embedding is NaN or infinite.
    """
    manifest = task.manifest(named.encoder.sample_rate)
    sizes = {split: len(task.files[split]) for split in task.metadata.splits}
    extracted = embed(named, manifest, task.readout, Preprocessing(), extraction)
    if task.readout == "scene":
        parts = map(SplitFeatures, extracted.scene.split(list(sizes.values())))
    else:
        frames = extracted.pop_timestamps()
        parts = (_joined(islice(frames, size)) for size in sizes.values())
    return TaskFeatures(dict(zip(sizes, parts, strict=True)))


def _joined(frames: Iterable[tuple[Tensor, Tensor]]) -> SplitFeatures:
    embeddings, times_ms = zip(*frames, strict=True)
    return SplitFeatures(torch.cat(embeddings), tuple(times.double().numpy() for times in times_ms))
