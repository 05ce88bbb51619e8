"""A corpus of pairs on disk.

OUT/pairs.csv                       pairs, with a text of each difference
OUT/apwd.json                       how it was made
OUT/settings.json                   what it depends on, written first
OUT/refused.csv                     what could not be made, and why
OUT/wav/{dev,eval}/NAME_{s1,s2}.wav
OUT/jams/{dev,eval}/NAME_{s1,s2}.jams
OUT/source/{dev,eval}/{background,foreground}/LABEL/FILE.wav
"""

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
from byola_diff.soundscapes.production.items import COMMON_GAIN, common_gain_db, finish, finished
from byola_diff.soundscapes.production.output_folder import CorpusOptions
from byola_diff.soundscapes.production.produce import Refusal, produce, write_refused
from byola_diff.soundscapes.render.mixer import open_renderer
from byola_diff.soundscapes.render.plan import Roots, Soundscape
from byola_diff.soundscapes.sources.preparation import SourceFile, prepare
from byola_diff.storage import sealed_json, sha256
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


class WrittenClip(NamedTuple):
    """What is known of the wav file of a clip."""

    sha256: str
    gain_db: float
    """What it was amplified by, as was all that it was written with, so that none of it clips."""


class PairOfClips(NamedTuple):
    """A pair whose clips are there."""

    name: str
    scene: str
    split: str
    plans: tuple[Soundscape, Soundscape]
    clips: tuple[WrittenClip, WrittenClip]
    """They have the same gain."""


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
    `required`, is refused if one of its sources is not there.
    """
    n_copies, lost, unmade = prepare_sources(options, required)
    possible = [item for item in items if name_of(item) not in unmade]
    work = partial(render, options)
    done, refused = produce(possible, work, name_of, **options.crew, title=title)
    unmade |= {refusal.name: refusal for refusal in refused}
    in_order = [unmade[name] for item in items if (name := name_of(item)) in unmade]
    return done, [*lost, *in_order], n_copies


def prepare_sources(
    options: CorpusOptions, required: RequiredSources
) -> tuple[int, list[Refusal], dict[str, Refusal]]:
    """How many sources were prepared, those that were refused, and the items that lack one.

    The latter are by name, with the reason. Copies of sources that are missing now are removed, so
    that no item is made of them later.
    """
    folder = options.out / "source"
    for name in required.missing:
        (folder / name).unlink(missing_ok=True)
    work = partial(prepare, folder=folder)
    copies, lost = produce(
        required.files, work, lambda one: one.name, **options.crew, title="sources"
    )
    causes = {one.name: f"was refused: {one.reason}" for one in lost} | {**required.missing}
    unmade = {}
    for item, sources in required.of_item.items():
        if absent := next((source for source in sources if source in causes), None):
            unmade[item] = Refusal(item, f"its source {absent} {causes[absent]}")
    return len(copies), [replace(one, name=f"source/{one.name}") for one in lost], unmade


def sources_of_split(options: CorpusOptions, split: str) -> Roots:
    """Folders of the prepared sources, by role."""
    folder = options.out / "source" / split
    return {role: folder / role for role in ("background", "foreground")}


def write_clips(
    options: CorpusOptions, split: str, plans: Sequence[Soundscape]
) -> list[WrittenClip]:
    """Render the clips of a pair, or one alone, unless they are there from the same sources.

    If one would clip, all get the same gain, or `ClippingError` is raised, as the options say.
    Other errors are those of the renderer, and `OSError` if a source is missing.
    """
    out, rate, roots = options.out, options.output_rate, sources_of_split(options, split)
    renderer_name, render = open_renderer(options.renderer)
    every = []
    for plan in plans:
        paths = {f"{e.role}/{e.source}": roots[e.role] / e.source for e in plan.events}
        hashes = {name: sha256(path) for name, path in sorted(paths.items())}
        facts = {"renderer": renderer_name, "output_rate": rate, "sources": hashes}
        every.append((f"jams/{split}/{plan.name}.jams", plan, _wav(split, plan), facts))
    done = [finished(out, jams, plan, [wav], facts) for jams, plan, wav, facts in every]
    if None in done or len({one.get(COMMON_GAIN) for one in done if one}) > 1:
        audio = [render(plan, roots).mixture for plan in plans]
        gain_db = 0.0
        if options.clipping == "gain":
            both = zip(audio, plans, strict=True)
            gain_db = min(common_gain_db([one], plan.sample_rate, rate) for one, plan in both)
        done = [
            finish(out, jams, plan, {wav: one}, facts, output_rate=rate, gain_db=gain_db)
            for (jams, plan, wav, facts), one in zip(every, audio, strict=True)
        ]
    return [
        WrittenClip(one["files"][_wav(split, plan)], one.get(COMMON_GAIN, 0.0))
        for one, plan in zip(filter(None, done), plans, strict=True)
    ]


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
    counts["pairs with a common gain"] = sum(pair.clips[0].gain_db != 0 for pair in pairs)
    levels = {
        "gain": "levels: one common gain for both clips of a pair where one would clip",
        "refuse": "levels: as planned; clips that would clip are refused",
    }
    full = {
        "format": 2,
        **facts,
        "deviations": [*facts["deviations"], levels[options.clipping]],
        "seed": options.seed,
        "counts": counts,
        "versions": {**package_versions(_PACKAGES), "commit": code_commit()},
        "manifests": {_TABLE: sha256(out / _TABLE)} if n_pairs else {},
    }
    write_text(out / _SUMMARY, sealed_json(full))
    print(f"{out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if everything:
        print(f"what was refused, and why: {out / _REFUSED}", file=sys.stderr)
    return everything


def _write_table(table: Path, pairs: Sequence[PairOfClips], seed: int) -> list[Refusal]:
    """Pairs whose clips do not differ; the others are in the table.

    It has a column of common gains where a pair has one.
    """
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
        extra["first_sha256"].append(pair.clips[0].sha256)
        extra["second_sha256"].append(pair.clips[1].sha256)
        extra[COMMON_GAIN].append(f"{pair.clips[0].gain_db:.2f}")
    if not any(map(float, extra[COMMON_GAIN])):
        del extra[COMMON_GAIN]
    if rows:
        write_pairs(table, rows, extra)
    else:
        table.unlink(missing_ok=True)
    return same


def _wav(split: str, plan: Soundscape) -> str:
    return f"wav/{split}/{plan.name}.wav"
