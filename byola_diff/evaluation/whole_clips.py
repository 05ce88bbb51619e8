"""Embeddings of whole clips, by the options that all verbs of the evaluation have."""

import argparse

from jaxtyping import Float32
from torch import Tensor

from byola_diff.embeddings.extract import count_cached, extract
from byola_diff.encoders.open import NamedEncoder
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing

WHOLE = Preprocessing()
"""Clips as they are, whatever their length."""


def embed_whole(
    named: NamedEncoder, manifest: Manifest, options: argparse.Namespace
) -> Float32[Tensor, "clip dim"]:
    """Scene embeddings of all clips, from the cache where they are in it.

    Raises:
        UnreadableClipsError: If clips can't be read, with all of those that can't.
        NonFiniteEmbeddingError: If an embedding has NaN or infinite values.
    """
    return extract(
        named,
        manifest,
        "scene",
        WHOLE,
        cache=options.cache,
        batch_size=options.batch_size,
        device=options.device,
        precision=options.precision,
        n_workers=options.workers,
    ).scene


def count_embedded(named: NamedEncoder, manifest: Manifest, options: argparse.Namespace) -> int:
    """Clips that `embed_whole` would find in the cache."""
    cached = {name: getattr(options, name) for name in ("cache", "device", "precision")}
    return count_cached(named, manifest, "scene", WHOLE, **cached)
