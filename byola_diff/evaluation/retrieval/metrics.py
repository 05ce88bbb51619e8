"""Recall at k: how often the right candidate is among the k most alike. Ties count against us."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

_ROUNDING = 1e-6
"""Similarities nearer than this are tied: equal embeddings may differ by so much once multiplied
in blocks, and would otherwise be ranked by chance."""

_CHUNK = 1024


def pessimistic_ranks(
    query: Float[Tensor, "query dim"],
    gallery: Float[Tensor, "candidate dim"],
    own: Int[Tensor, " query"],
) -> Int[Tensor, " query"]:
    """Rank of each query's own candidate by cosine, from 1: the worst among those tied with it.

    That is the number of candidates at least as alike as the own one, itself included.

    Args:
        query: Any lengths: only directions count.
        gallery: All candidates.
        own: Place of each query's candidate in the gallery.

    Raises:
        ValueError: If there are no queries, or a latent is not finite.
    """
    if not len(query):
        raise ValueError("there are no queries to rank candidates for")
    if not (query.isfinite().all() and gallery.isfinite().all()):
        raise ValueError("a latent is NaN or infinite")
    gallery = _unit(gallery)
    ranks = []
    for part, right in zip(query.split(_CHUNK), own.split(_CHUNK), strict=True):
        similarity = _unit(part) @ gallery.T  # [query, candidate]
        least = similarity.gather(1, right[:, None]) - _ROUNDING
        ranks.append((similarity >= least).sum(1))
    return torch.cat(ranks)


def recall_at_k(ranks: Int[Tensor, " query"], k: int) -> float:
    """Share of queries whose rank is at most `k`, in 0..1."""
    return (ranks <= k).double().mean().item()


def _unit(vectors: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
    vectors = vectors.double()
    # Not `normalize`, whose floor of 1e-12 would shorten tiny vectors.
    lengths = vectors.norm(dim=1, keepdim=True)
    return vectors / lengths.where(lengths > 0, 1.0)
