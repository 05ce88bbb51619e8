"""Recall at k: how often the right candidate is among the k most alike. Ties count against us."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

_ROUNDING = 1e-6
"""Cosines nearer than this are tied: those of equal embeddings may differ by so much once they are
multiplied in blocks, and would otherwise be ranked by chance."""

_QUERIES_AT_ONCE = 1024


def pessimistic_ranks(
    similarity: Float[Tensor, "query candidate"], own: Int[Tensor, " query"], margin: float = 0.0
) -> Int[Tensor, " query"]:
    """Rank of each query's own candidate, from 1: the worst among those tied with it.

    That is the number of candidates at least as alike as the own one, itself included. Candidates
    that are less alike by up to `margin` are tied. `own` is the place of each query's candidate.
    """
    least = similarity.gather(1, own[:, None]) - margin
    return (similarity >= least).sum(1)


def cosine_ranks(
    query: Float[Tensor, "query dim"],
    gallery: Float[Tensor, "candidate dim"],
    own: Int[Tensor, " query"],
) -> Int[Tensor, " query"]:
    """Pessimistic ranks by cosine: only directions count, and near ties are ties.

    `own` is the place of each query's candidate in the gallery.

    Raises:
        ValueError: If there are no queries, or a vector is not finite.
    """
    if not len(query):
        raise ValueError("there are no queries to rank candidates for")
    if not (query.isfinite().all() and gallery.isfinite().all()):
        raise ValueError("a latent is NaN or infinite")
    gallery = _unit(gallery)
    parts = zip(query.split(_QUERIES_AT_ONCE), own.split(_QUERIES_AT_ONCE), strict=True)
    return torch.cat(
        [pessimistic_ranks(_unit(part) @ gallery.T, right, _ROUNDING) for part, right in parts]
    )


def recall_at_k(ranks: Int[Tensor, " query"], k: int) -> float:
    """Share of queries whose rank is at most `k`, in 0..1."""
    return (ranks <= k).double().mean().item()


def _unit(vectors: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
    # The usual floor of 1e-12 would shorten tiny vectors.
    return normalize(vectors.double(), dim=1, eps=torch.finfo(torch.float64).tiny)
