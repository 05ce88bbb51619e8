"""Embeddings of whole clips, by the options that all verbs of the evaluation have."""

from jaxtyping import Float32
from torch import Tensor

from byola_diff.embeddings.extract import count_cached, embed
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.jobs import extraction_options
from byola_diff.evaluation.options import EmbeddingOptions
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing

WHOLE = Preprocessing()
"""Clips as they are, whatever their length."""


def embed_whole(
    named: NamedEncoder, manifest: Manifest, options: EmbeddingOptions
) -> Float32[Tensor, "clip dim"]:
    """Scene embeddings of all clips, from the cache where they are in it.

    Raises:
        UnreadableClipsError: If clips can't be read, with all of those that can't.
        NonFiniteEmbeddingError: If an embedding has NaN or infinite values.
    """
    return embed(named, manifest, "scene", WHOLE, extraction_options(options)).scene


def count_embedded(named: NamedEncoder, manifest: Manifest, options: EmbeddingOptions) -> int:
    """Clips that `embed_whole` would find in the cache."""
    return count_cached(named, manifest, "scene", WHOLE, extraction_options(options))
