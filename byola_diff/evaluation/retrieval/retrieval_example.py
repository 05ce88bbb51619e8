"""Two queries to look at: the one found most clearly, and the one missed by most."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.data.pairs import Pair, PairTable
from byola_diff.evaluation.results.exhibits import Exhibit
from byola_diff.evaluation.results.heard_clips import HeardClip, heard_clips
from byola_diff.evaluation.results.report import Part, Table, Text
from byola_diff.evaluation.retrieval.retrieval_metrics import pessimistic_ranks

_SHOWN = 3
"""Candidates of the highest scores; the right one is shown too."""


def retrieval_example(
    table: PairTable,
    query: Float[Tensor, "query dim"],
    gallery: Float[Tensor, "query dim"],
    title: str,
    sample_rate: int,
) -> Exhibit:
    """The best query and, if any failed, the worst: with their candidates, the right one marked.

    Args:
        table: Of one scene.
        query: Unit vectors of its test pairs.
        gallery: Those of their second clips.
        title: Of the exhibit.
        sample_rate: Of what is played, in Hz.

    Raises:
        AudioFileError: If a clip can't be read.
        ModuleNotFoundError: If Matplotlib is absent; it names the extra.
    """
    pairs = table.in_split("test")
    best, failed = chosen_queries(query, gallery)
    shown: list[tuple[str, int | None]] = [("Found", best), ("Missed", failed)]
    parts: list[Part] = []
    for word, place in shown:
        if place is not None:
            similarity = (gallery @ query[place]).cpu()
            parts += _query_parts(word, table, pairs, place, similarity, sample_rate)
    return Exhibit("Retrieval with a text modifier", title, tuple(parts))


def chosen_queries(
    query: Float[Tensor, "query dim"], gallery: Float[Tensor, "query dim"]
) -> tuple[int | None, int | None]:
    """The query of rank 1 that is farthest ahead, and the one of the worst rank below 1."""
    own = torch.arange(len(query), device=query.device)
    ranks = pessimistic_ranks(query, gallery, own)
    similarity = query @ gallery.T
    others = similarity.masked_fill(torch.eye(len(query), device=query.device).bool(), -torch.inf)
    lead = similarity.diagonal() - others.amax(dim=1)
    found = ranks == 1
    best = int(lead.where(found, -torch.inf).argmax()) if found.any() else None
    worst = int(ranks.argmax())
    return best, worst if ranks[worst] > 1 else None


def _query_parts(
    word: str,
    table: PairTable,
    pairs: Sequence[Pair],
    place: int,
    similarity: Float[Tensor, " candidate"],
    sample_rate: int,
) -> list[Part]:
    order = similarity.argsort(descending=True, stable=True).tolist()
    rank = order.index(place) + 1
    shown = order[:_SHOWN] + ([place] if rank > _SHOWN else [])
    rows, clips = [], [HeardClip(table.root / pairs[place].first, "query", "The query")]
    for candidate in shown:
        own = candidate == place
        number, score = order.index(candidate) + 1, float(similarity[candidate])
        labels = ", ".join(pairs[candidate].second_labels) or "no event"
        name = f"candidate {number}{', the right one' if own else ''}"
        rows.append([str(number), f"{score:.3f}", labels, "right" if own else ""])
        caption = f"{name[0].upper()}{name[1:]}: cosine {score:.3f}, {labels}"
        clips.append(HeardClip(table.root / pairs[candidate].second, name, caption))
    labels = ", ".join(pairs[place].first_labels) or "no event"
    lead = (
        f"{word}: a recording with {labels}, and the text “{pairs[place].text}”. The right one of "
        f"{len(pairs)} candidates comes at place {rank}."
    )
    marked = frozenset(row for row, candidate in enumerate(shown) if candidate == place)
    header = ["place", "cosine", "events in it", ""]
    found = Table(header, rows, marked=marked, text_columns=frozenset({2, 3}))
    return [Text(lead), found, *heard_clips(clips, sample_rate)]
