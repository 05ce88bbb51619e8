"""Vectors of clips: what an encoder gives for a manifest, computed in batches and cached."""

from byola_diff.embeddings.extract import (
    ExtractionOptions,
    NonFiniteEmbeddingError,
    SceneEncoder,
    count_cached,
    embed,
    embed_clips,
)
from byola_diff.embeddings.extracted import Extracted, Readout
from byola_diff.tables.reading import UnreadableClipsError

__all__ = [
    "Extracted",
    "ExtractionOptions",
    "NonFiniteEmbeddingError",
    "Readout",
    "SceneEncoder",
    "UnreadableClipsError",
    "count_cached",
    "embed",
    "embed_clips",
]
