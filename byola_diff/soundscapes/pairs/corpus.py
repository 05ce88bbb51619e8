"""A corpus of pairs on disk.

OUT/pairs.csv                       pairs, with a text of each difference
OUT/apwd.json                       how it was made
OUT/settings.json                   what it depends on, written first
OUT/refused.csv                     what could not be made, and why
OUT/wav/{dev,eval}/NAME_{s1,s2}.wav
OUT/jams/{dev,eval}/NAME_{s1,s2}.jams
OUT/source/{dev,eval}/{background,foreground}/LABEL/FILE.wav
"""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from byola_diff.atomic import write_text
from byola_diff.commit import code_commit
from byola_diff.soundscapes.pairs.difference import changes, difference_text, event_labels
from byola_diff.soundscapes.production.items import finish, finished
from byola_diff.soundscapes.production.output_folder import OutputFolder
from byola_diff.soundscapes.production.produce import (
    ProductionResult,
    Refusal,
    produce,
    write_refused,
)
from byola_diff.soundscapes.render.plan import Soundscape
from byola_diff.soundscapes.render.renderers import RendererName, open_renderer
from byola_diff.soundscapes.sources.preparation import SourceFile, prepare, source_roots
from byola_diff.storage import sha256
from byola_diff.tables.pairs import Pair, write_pairs

T = TypeVar("T")
R = TypeVar("R")

_TABLE, _SUMMARY, _REFUSED = "pairs.csv", "apwd.json", "refused.csv"
_TABLE_SPLITS = {"dev": "train", "eval": "test"}
_PACKAGES = ("byola-diff", "numpy", "soundfile", "soxr")
_SOURCE = "source/"


@dataclass(frozen=True)
class RenderSettings:
    """Where clips are rendered, and by what."""

    out: Path
    renderer: RendererName = "auto"
    output_rate: int | None = None
    """Sample rate of the wav files in Hz, if not that of the plans."""
    n_workers: int = 1
    """Processes."""

    @property
    def sources(self) -> Path:
        """Folder of the prepared sources."""
        return self.out / "source"

    @property
    def folder(self) -> OutputFolder:
        """Folder of the corpus, and of no other one."""
        return OutputFolder(self.out, "procedural", (_TABLE, _SUMMARY))


@dataclass(frozen=True)
class RequiredSources:
    """The sources of a corpus, by the names of their copies."""

    files: Sequence[SourceFile]
    of_item: Mapping[str, Collection[str]]
    """What each clip or pair is made of."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Sources that there is no recording of, and why."""
    leaks: Sequence[str] = ()
    """Sources of one split that belong to the other one."""


@dataclass(frozen=True)
class PairOfClips:
    """A pair whose clips are there."""

    name: str
    scene: str
    split: str
    plans: tuple[Soundscape, Soundscape]
    sha256: tuple[str, str]
    """Hashes of both wav files."""


def produce_items(
    settings: RenderSettings,
    required: RequiredSources,
    items: Sequence[T],
    render: Callable[[RenderSettings, T], R],
    name_of: Callable[[T], str],
    *,
    title: str,
) -> ProductionResult[T, R]:
    """Prepare the sources, then render the items, as `produce` does with work that can be pickled.

    An item, whose name is that in `required`, is refused if one of its sources is not there, and
    the reason is why. Copies of sources that are missing now are removed, so that no item is made
    of them later.
    """
    for name in required.missing:
        (settings.sources / name).unlink(missing_ok=True)
    make = partial(produce, n_workers=settings.n_workers)
    prepared = partial(prepare, folder=settings.sources)
    copies = make(required.files, prepared, lambda one: f"{_SOURCE}{one.name}", title="sources")
    unmade = _without_source(required, copies.refused)
    possible = [item for item in items if name_of(item) not in unmade]
    made = make(possible, partial(render, settings), name_of, title=title)
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
    unmade = {}
    for item, sources in required.of_item.items():
        if absent := next((source for source in sources if source in causes), None):
            unmade[item] = Refusal(item, causes[absent])
    return unmade


def write_clip(settings: RenderSettings, split: str, plan: Soundscape) -> str:
    """Render a clip, unless it is there from the same sources; returns the SHA-256 of its wav file.

    Raises:
        RenderError: If it can't be rendered as planned, or clips.
        AudioFileError: If a source can't be read.
        OSError: If a source is missing.
    """
    wav, jams = _wav(split, plan), f"jams/{split}/{plan.name}.jams"
    roots = source_roots(settings.sources, split)
    renderer_name, render = open_renderer(settings.renderer)
    paths = {
        f"{event.role}/{event.source}": roots[event.role] / event.source for event in plan.events
    }
    facts = {
        "renderer": renderer_name,
        "output_rate": settings.output_rate,
        "sources": {name: sha256(path) for name, path in sorted(paths.items())},
    }
    done = finished(settings.out, jams, plan, facts)
    if done is None:
        audio = {wav: render(plan, roots).mixture}
        done = finish(settings.out, jams, plan, audio, facts, output_rate=settings.output_rate)
    return done["files"][wav]


def write_corpus(
    out: Path,
    pairs: Sequence[PairOfClips],
    refused: Sequence[Refusal],
    seed: int,
    facts: Mapping[str, Any],
) -> tuple[Refusal, ...]:
    """Write the table of pairs, how the corpus was made and what was refused; returns the latter.

    Pairs whose clips do not differ are refused too. Without a pair there is no table. The seed
    decides the wording of the texts; `counts` among the facts is completed.
    """
    same, n_pairs = _write_table(out / _TABLE, pairs, seed)
    everything = (*refused, *same)
    write_refused(out / _REFUSED, everything)
    counts = {**facts.get("counts", {}), "pairs": n_pairs, "refused": len(everything)}
    counts["refused for clipping"] = sum(one.clips for one in everything)
    full = {
        **facts,
        "seed": seed,
        "counts": counts,
        "versions": {**{name: version(name) for name in _PACKAGES}, "commit": code_commit()},
        "manifests": {_TABLE: sha256(out / _TABLE)} if n_pairs else {},
    }
    write_text(out / _SUMMARY, json.dumps(full, indent=2, ensure_ascii=False) + "\n")
    print(f"{out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if everything:
        print(f"what was refused, and why: {out / _REFUSED}", file=sys.stderr)
    return everything


def _write_table(table: Path, pairs: Sequence[PairOfClips], seed: int) -> tuple[list[Refusal], int]:
    """Pairs whose clips do not differ, and the number of the others, which are in the table."""
    rows, same, extra = [], [], defaultdict(list)
    for pair in pairs:
        first, second = pair.plans
        try:
            text = difference_text(first, second, seed)
        except ValueError as error:
            same.append(Refusal(pair.name, str(error)))
            continue
        files = _wav(pair.split, first), _wav(pair.split, second)
        labels = event_labels(first), event_labels(second)
        split = _TABLE_SPLITS[pair.split]
        rows.append(Pair(pair.name, pair.scene, split, *files, *labels, text))
        extra["changes"].append(";".join(map(str, changes(first, second))))
        extra["ref_db"].append(f"{first.ref_db:.4f}")
        extra["first_sha256"].append(pair.sha256[0])
        extra["second_sha256"].append(pair.sha256[1])
    if rows:
        write_pairs(table, rows, extra)
    else:
        table.unlink(missing_ok=True)
    return same, len(rows)


def _wav(split: str, plan: Soundscape) -> str:
    return f"wav/{split}/{plan.name}.wav"
