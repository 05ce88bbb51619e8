"""Two queries to look at: the one found most clearly, and the one missed by most."""

from collections.abc import Sequence
from pathlib import PurePosixPath

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.reports.extras import ReportExtra
from byola_diff.reports.players import HeardClip, heard_clips
from byola_diff.reports.report import Part, Table, Text
from byola_diff.scores.recall import cosine_ranks
from byola_diff.tables.pairs import PairTable

_SHOWN = 3
"""Candidates of the highest scores; the right one is shown too."""


def retrieval_example(
    table: PairTable,
    query: Float[Tensor, "query dim"],
    gallery: Float[Tensor, "query dim"],
    title: str,
    sample_rate: int,
) -> ReportExtra:
    """The best query and, if any failed, the worst: with their candidates, the right one marked.

    Of the test pairs of a table of one scene: `query` and `gallery` are their unit vectors and
    those of their second clips. Clips are played at `sample_rate`, in Hz. Raises as `heard_clips`.
    """
    parts: list[Part] = []
    for heading, place in zip(("Found", "Missed"), chosen_queries(query, gallery), strict=True):
        if place is not None:
            cosines = (gallery @ query[place]).tolist()
            parts += _query_parts(heading, table, place, cosines, sample_rate)
    return ReportExtra("Retrieval with a text modifier", title, tuple(parts))


def chosen_queries(
    query: Float[Tensor, "query dim"], gallery: Float[Tensor, "query dim"]
) -> tuple[int | None, int | None]:
    """The query of rank 1 that is farthest ahead, and the one of the worst rank below 1."""
    own = torch.arange(len(query), device=query.device)
    ranks = cosine_ranks(query, gallery, own)
    similarity = query @ gallery.T
    others = similarity.masked_fill(torch.eye(len(query), device=query.device).bool(), -torch.inf)
    lead = similarity.diagonal() - others.amax(dim=1)
    found = ranks == 1
    best = int(lead.where(found, -torch.inf).argmax()) if found.any() else None
    worst = int(ranks.argmax())
    return best, worst if ranks[worst] > 1 else None


def _query_parts(
    heading: str,
    table: PairTable,
    place: int,
    cosines: Sequence[float],
    sample_rate: int,
) -> list[Part]:
    pairs = table.in_split("test")
    # The right one comes after others of its score.
    order = sorted(range(len(pairs)), key=lambda c: (-cosines[c], c == place))
    rank = order.index(place) + 1
    shown = order[:_SHOWN] + ([place] if rank > _SHOWN else [])
    labels, text = _listed(pairs[place].first_labels), pairs[place].text
    query = _clip(table, pairs[place].first, f"Query: “{text}”", labels)
    rows, clips = [], {}
    for candidate in shown:
        pair, number = pairs[candidate], order.index(candidate) + 1
        score, events = f"{cosines[candidate]:.3f}", _listed(pair.second_labels)
        right = "right" if candidate == place else ""
        rows.append([str(number), score, events, right])
        title = f"{'Right: place' if right else 'Place'} {number}, cosine {score}"
        clips[candidate] = _clip(table, pair.second, title, events)
    # The right one is heard after the query, whatever its place: the text tells their difference.
    heard = heard_clips([query, clips.pop(place), *clips.values()], sample_rate)
    lead = (
        f"{heading}: a recording with {labels}, and the text “{text}”. The right one of "
        f"{len(pairs)} candidates comes at place {rank}."
    )
    marked = frozenset(row for row, candidate in enumerate(shown) if candidate == place)
    header = ["place", "cosine", "events in it", ""]
    found = Table(header, rows, marked=marked, text_columns=frozenset({2, 3}))
    return [Text(lead), *heard, found]


def _clip(table: PairTable, file: str, title: str, events: str) -> HeardClip:
    return HeardClip(table.root / file, f"{title}\nwith {events}\n{PurePosixPath(file).name}")


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) or "no event"
