"""Embeddings of a HEAR task by split: one row per clip, or one per timestamp."""

from collections.abc import Mapping, Sequence
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
class TaskFeatures:
    """Embeddings of all splits."""

    by_split: Mapping[str, Float32[Tensor, "_ dim"]]
    """A row for each clip; for events, one for each frame, file after file."""
    times_by_split: Mapping[str, Sequence[np.ndarray]]
    """For events: centres of the frames of each file, in ms."""

    def embeddings(self, splits: Sequence[str]) -> Float32[Tensor, "row dim"]:
        """Embeddings of some splits, one after the other; a single one is not copied."""
        parts = [self.by_split[split] for split in splits]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def times_ms(self, splits: Sequence[str]) -> list[np.ndarray]:
        """Centres of the frames of each file of some splits, for events."""
        return [times for split in splits for times in self.times_by_split[split]]


def embed_task(task: HearTask, named: NamedEncoder, extraction: ExtractionOptions) -> TaskFeatures:
    """Embeddings of all splits, of whole clips. No label is looked at.

    Raises:
        ValueError: As `embed`, if files can't be read, or an embedding is NaN or infinite.
    """
    manifest = task.manifest(named.encoder.sample_rate)
    sizes = {split: len(task.files[split]) for split in task.metadata.splits}
    extracted = embed(named, manifest, task.readout, Preprocessing(), extraction)
    if task.readout == "scene":
        parts = extracted.scene.split(list(sizes.values()))
        return TaskFeatures(dict(zip(sizes, parts, strict=True)), {})
    files, embeddings, times_ms = extracted.pop_timestamps(), {}, {}
    for split, size in sizes.items():
        frames, centers_ms = zip(*islice(files, size), strict=True)
        embeddings[split] = torch.cat(frames)
        times_ms[split] = [each.double().numpy() for each in centers_ms]
        del frames  # before those of the next split: a task can fill the memory
    return TaskFeatures(embeddings, times_ms)
