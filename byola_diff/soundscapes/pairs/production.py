"""Clips or pairs made of their sources, with the reason for each that can't be."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from byola_diff.soundscapes.pairs.corpus import RenderSettings
from byola_diff.soundscapes.production.produce import ProductionResult, Refusal, produce
from byola_diff.soundscapes.sources.preparation import SourceFile, prepare

T = TypeVar("T")
R = TypeVar("R")

_SOURCE = "source/"


@dataclass(frozen=True)
class RequiredSources:
    """The sources of a corpus, by the names of their copies."""

    files: Sequence[SourceFile]
    of_item: Mapping[str, Collection[str]]
    """What each item is made of."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Sources that there is no recording of, and why."""


def produce_items(
    settings: RenderSettings,
    required: RequiredSources,
    items: Sequence[T],
    render: Callable[[RenderSettings, T], R],
    name_of: Callable[[T], str],
    *,
    n_workers: int,
    title: str,
) -> ProductionResult[T, R]:
    """Prepare the sources, then render the items, in several processes.

    An item is refused if one of its sources is not there, and the reason is why. Copies of sources
    that are missing now are removed, so that no item is made of them later.

    Args:
        settings: Where, and by what.
        required: The sources.
        items: Clips or pairs.
        render: A function that can be pickled; what `produce` refuses is refused.
        name_of: What an item is called in messages and in `required`.
        n_workers: Processes.
        title: What the items are.

    Raises:
        RuntimeError: As `produce`.
        ModuleNotFoundError: As `produce`.
    """
    for name in required.missing:
        (settings.sources / name).unlink(missing_ok=True)
    copies = produce(
        required.files,
        partial(prepare, folder=settings.sources),
        lambda source: f"{_SOURCE}{source.name}",
        n_workers=n_workers,
        title="sources",
    )
    unmade = _without_source(required, copies.refused)
    possible = [item for item in items if name_of(item) not in unmade]
    made = produce(possible, partial(render, settings), name_of, n_workers=n_workers, title=title)
    unmade |= {refusal.name: refusal for refusal in made.refused}
    names = [name for item in items if (name := name_of(item)) in unmade]
    refused = (*copies.refused, *(unmade[name] for name in names))
    return ProductionResult(made.done, refused, n_sources=len(copies.done))


def _without_source(required: RequiredSources, refused: Sequence[Refusal]) -> dict[str, Refusal]:
    """Refusals of the items that one of their sources is not there for, by name."""
    causes = {source: f"its source {source} {why}" for source, why in required.missing.items()}
    for refusal in refused:
        source = refusal.name.removeprefix(_SOURCE)
        causes[source] = f"its source {source} was refused: {refusal.reason}"
    absent = {
        item: next((source for source in sources if source in causes), None)
        for item, sources in required.of_item.items()
    }
    return {item: Refusal(item, causes[one]) for item, one in absent.items() if one is not None}
