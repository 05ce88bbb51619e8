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
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from byola_diff.atomic import write_text
from byola_diff.commit import code_commit, package_versions
from byola_diff.soundscapes.pairs.difference import changes, difference_text, event_labels
from byola_diff.soundscapes.production.items import finish, finished
from byola_diff.soundscapes.production.output_folder import CorpusOptions
from byola_diff.soundscapes.production.produce import Refusal, produce, write_refused
from byola_diff.soundscapes.render.mixer import open_renderer
from byola_diff.soundscapes.render.plan import Roots, Soundscape
from byola_diff.soundscapes.sources.preparation import SourceFile, prepare
from byola_diff.storage import sha256
from byola_diff.tables.pairs import Pair, write_pairs

T = TypeVar("T")
R = TypeVar("R")
Options = TypeVar("Options", bound=CorpusOptions)

_TABLE, _SUMMARY, _REFUSED = "pairs.csv", "apwd.json", "refused.csv"
RESULTS = (_TABLE, _SUMMARY)
"""What marks a finished corpus."""

_TABLE_SPLITS = {"dev": "train", "eval": "test"}
_PACKAGES = ("byola-diff", "numpy", "soundfile", "soxr")


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


class PairOfClips(NamedTuple):
    """A pair whose clips are there."""

    name: str
    scene: str
    split: str
    plans: tuple[Soundscape, Soundscape]
    sha256: tuple[str, str]
    """Hashes of both wav files."""


def produce_items(
    options: Options,
    required: RequiredSources,
    items: Sequence[T],
    render: Callable[[Options, T], R],
    name_of: Callable[[T], str],
    *,
    title: str,
) -> tuple[list[tuple[T, R]], list[Refusal], int]:
    """Prepare the sources, then render the items, as `produce` does with work that can be pickled.

    Also returns the number of sources that were prepared. An item, whose name is that in
    `required`, is refused if one of its sources is not there, and the reason is why. Copies of
    sources that are missing now are removed, so that no item is made of them later.
    """
    folder = options.out / "source"
    for name in required.missing:
        (folder / name).unlink(missing_ok=True)
    make = partial(produce, n_workers=options.workers)
    work = partial(prepare, folder=folder)
    copies, lost = make(required.files, work, lambda one: one.name, title="sources")
    causes = {one.name: f"was refused: {one.reason}" for one in lost} | {**required.missing}
    unmade = {}
    for item, sources in required.of_item.items():
        if absent := next((source for source in sources if source in causes), None):
            unmade[item] = Refusal(item, f"its source {absent} {causes[absent]}")
    possible = [item for item in items if name_of(item) not in unmade]
    done, refused = make(possible, partial(render, options), name_of, title=title)
    unmade |= {refusal.name: refusal for refusal in refused}
    in_order = [unmade[name] for item in items if (name := name_of(item)) in unmade]
    lost = [replace(one, name=f"source/{one.name}") for one in lost]
    return done, [*lost, *in_order], len(copies)


def sources_of_split(options: CorpusOptions, split: str) -> Roots:
    """Folders of the prepared sources, by role."""
    folder = options.out / "source" / split
    return {role: folder / role for role in ("background", "foreground")}


def write_clip(options: CorpusOptions, split: str, plan: Soundscape) -> str:
    """Render a clip, unless it is there from the same sources; returns the SHA-256 of its wav file.

    Errors are those of the renderer, and `OSError` if a source is missing.
    """
    out, rate = options.out, options.output_rate
    wav, jams = _wav(split, plan), f"jams/{split}/{plan.name}.jams"
    roots = sources_of_split(options, split)
    renderer_name, render = open_renderer(options.renderer)
    paths = {
        f"{event.role}/{event.source}": roots[event.role] / event.source for event in plan.events
    }
    facts = {
        "renderer": renderer_name,
        "output_rate": rate,
        "sources": {name: sha256(path) for name, path in sorted(paths.items())},
    }
    done = finished(out, jams, plan, [wav], facts)
    if done is None:
        audio = {wav: render(plan, roots).mixture}
        done = finish(out, jams, plan, audio, facts, output_rate=rate)
    return done["files"][wav]


def write_corpus(
    options: CorpusOptions,
    pairs: Sequence[PairOfClips],
    refused: Sequence[Refusal],
    facts: Mapping[str, Any],
) -> list[Refusal]:
    """Write the table of pairs, how the corpus was made and what was refused; returns the latter.

    Pairs whose clips do not differ are refused too. Without a pair there is no table. `counts`
    among the facts is completed.
    """
    out = options.out
    same = _write_table(out / _TABLE, pairs, options.seed)
    n_pairs = len(pairs) - len(same)
    everything = [*refused, *same]
    write_refused(out / _REFUSED, everything)
    counts = {**facts["counts"], "pairs": n_pairs, "refused": len(everything)}
    counts["refused for clipping"] = sum(one.clips for one in everything)
    full = {
        **facts,
        "seed": options.seed,
        "counts": counts,
        "versions": {**package_versions(_PACKAGES), "commit": code_commit()},
        "manifests": {_TABLE: sha256(out / _TABLE)} if n_pairs else {},
    }
    write_text(out / _SUMMARY, json.dumps(full, indent=2, ensure_ascii=False) + "\n")
    print(f"{out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if everything:
        print(f"what was refused, and why: {out / _REFUSED}", file=sys.stderr)
    return everything


def _write_table(table: Path, pairs: Sequence[PairOfClips], seed: int) -> list[Refusal]:
    """Pairs whose clips do not differ; the others are in the table."""
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
    return same


def _wav(split: str, plan: Soundscape) -> str:
    return f"wav/{split}/{plan.name}.wav"
