"""Clips or pairs made of their sources, with the reason for each that can't be."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Generic, TypeVar

from byola_diff.soundscapes.apwd_corpus import Studio
from byola_diff.soundscapes.produce import Production, Refusal, produce
from byola_diff.soundscapes.source_preparation import SourceFile, prepare

T = TypeVar("T")
R = TypeVar("R")

_SOURCE = "source/"


@dataclass(frozen=True)
class Needs:
    """The sources of a corpus, by the names of their copies."""

    files: Sequence[SourceFile]
    of_item: Mapping[str, Collection[str]]
    """What each item needs."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Sources that there is no recording of, and why."""


@dataclass(frozen=True)
class Yield(Generic[T, R]):
    """What became of the sources and of the items."""

    n_sources: int
    done: tuple[tuple[T, R], ...]
    refused: tuple[Refusal, ...]


def produce_items(
    studio: Studio,
    needs: Needs,
    items: Sequence[T],
    render: Callable[[Studio, T], R],
    name_of: Callable[[T], str],
    *,
    n_workers: int,
    title: str,
) -> Yield[T, R]:
    """Prepare the sources, then render the items, in several processes.

    Copies of sources that are missing now are removed, so that no item is made of them.

    Args:
        studio: Where.
        needs: The sources.
        items: Clips or pairs.
        render: A function that can be pickled; what `produce` refuses is refused.
        name_of: What an item is called in messages and in `needs`.
        n_workers: Processes.
        title: What the items are.

    Raises:
        RuntimeError: As `produce`.
        ModuleNotFoundError: As `produce`.
    """
    for name in needs.missing:
        if (copy := studio.sources / name).is_file():
            copy.unlink()
    copies = produce(
        needs.files,
        partial(prepare, folder=studio.sources),
        _source_name,
        n_workers=n_workers,
        title="sources",
    )
    made = produce(items, partial(render, studio), name_of, n_workers=n_workers, title=title)
    return Yield(
        len(copies.done), made.done, (*copies.refused, *_explained(made, copies.refused, needs))
    )


def _explained(
    made: Production[T, R], sources: Sequence[Refusal], needs: Needs
) -> tuple[Refusal, ...]:
    """The refused items; where a source is not there, the reason is why it is not."""
    causes = {source: f"its source {source} {why}" for source, why in needs.missing.items()}
    for refusal in sources:
        source = refusal.name.removeprefix(_SOURCE)
        causes[source] = f"its source {source} was refused: {refusal.reason}"
    refused = []
    for refusal in made.refused:
        absent = [s for s in needs.of_item.get(refusal.name, ()) if s in causes]
        told = [s for s in absent if PurePosixPath(s).name in refusal.reason]
        if told and "such file" in refusal.reason:
            refusal = replace(refusal, reason=causes[told[0]])
        refused.append(refusal)
    return tuple(refused)


def _source_name(source: SourceFile) -> str:
    return f"{_SOURCE}{source.name}"
