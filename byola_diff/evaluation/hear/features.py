"""Embeddings of a HEAR task by split: one row per clip, or one per timestamp."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from byola_diff.data.manifest import Manifest
from byola_diff.evaluation.encoders import NamedEncoder
from byola_diff.evaluation.extracted import Extracted, Readout
from byola_diff.evaluation.hear.task_folder import HearTask

ClipExtractor = Callable[[NamedEncoder, Manifest, Readout], Extracted]
"""`evaluation/extract.py::extract` with all else that it takes: whole clips, cache, device."""


@dataclass(frozen=True)
class SplitFeatures:
    """Embeddings of a split."""

    embeddings: Float32[Tensor, "row dim"]
    """A row for each clip; for events, one for each frame, file after file."""
    times_ms: tuple[np.ndarray, ...] = ()
    """Of events: of the frames of each file."""


def embed_task(
    task: HearTask, named: NamedEncoder, extract: ClipExtractor
) -> dict[str, SplitFeatures]:
    """Embeddings of all splits. No label is looked at.

    Raises:
        ValueError: As `extract`, if files can't be read, or an embedding is NaN or infinite.
    """
    manifest = task.manifest(named.encoder.sample_rate)
    sizes = [len(task.files[split]) for split in task.metadata.splits]
    if task.metadata.embedding_type == "scene":
        scenes = extract(named, manifest, "scene").scene.split(sizes)
        return {
            split: SplitFeatures(scene)
            for split, scene in zip(task.metadata.splits, scenes, strict=True)
        }
    frames = iter(extract(named, manifest, "timestamps").timestamps)
    features = {}
    for split, size in zip(task.metadata.splits, sizes, strict=True):
        embeddings, times_ms = zip(*(next(frames) for _ in range(size)), strict=True)
        times_ms = tuple(times.double().numpy() for times in times_ms)
        features[split] = SplitFeatures(torch.cat(embeddings), times_ms)
    return features
