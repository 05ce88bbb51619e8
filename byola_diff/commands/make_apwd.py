r"""Make new pairs of clips like APwD's, from any labelled recordings or from procedural sounds.

    python datasets/make_apwd.py --events ESC-50 --background FSD50K --background-label Rain \
        --scene rain --out data/rain
    python datasets/make_apwd.py --events procedural --background procedural --out data/pairs

Recordings lie in the layout of ESC-50 or FSD50K, in a folder with manifest.csv (file, label, fold),
or in one folder per label. Both clips of a pair have the same two backgrounds; one or two changes
are drawn from: an event is added, removed, louder or quieter, or the background is louder or
quieter. Pair k of a split depends on the seed, the scene and k alone. The recordings that are used
are first prepared in OUT/source. Where a clip would reach full scale, both clips of its pair get
one common gain, which is in the column common_gain_db of OUT/pairs.csv; with --clipping refuse the
pair is left out. What can't be made is listed with the reason in OUT/refused.csv, and the exit
status is then 2. A stopped run goes on when the same command is given again, and the bytes do not
depend on stops or on the number of workers.
"""

import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from byola_diff.command_line import exit_status, read_options
from byola_diff.soundscapes.pairs.corpus import (
    RESULTS,
    PairOfClips,
    RequiredSources,
    WrittenClip,
    produce_items,
    write_clips,
    write_corpus,
)
from byola_diff.soundscapes.pairs.plan import (
    PUBLISHED_REF_DB,
    SPLITS,
    MakeApwdOptions,
    plan_pair,
    quieter,
)
from byola_diff.soundscapes.pairs.sounds import Sounds, read_sounds, split_sounds
from byola_diff.soundscapes.production.output_folder import (
    USER_ERRORS,
    begin_folder,
    check_folder,
    in_own_folder,
)
from byola_diff.soundscapes.render.mixer import open_renderer
from byola_diff.soundscapes.render.plan import Soundscape
from byola_diff.soundscapes.sources.library import PROCEDURAL, Kind, ProceduralSounds
from byola_diff.soundscapes.sources.preparation import SourceFile

_SETTINGS = (
    *("background_label", "pairs_dev", "pairs_eval", "sample_rate", "output_rate"),
    "clipping",
)

PlannedPair = tuple[str, tuple[Soundscape, Soundscape]]
"""Split and both clips."""


def main(arguments: Sequence[str] | None = None, prog: str = "make_apwd.py") -> int:
    """Exit status: 0 if all pairs were made, 2 for refused pairs or wrong arguments."""
    options = read_options(MakeApwdOptions, arguments, prog=prog, description=__doc__)
    return exit_status(prog, partial(in_own_folder, run, options), USER_ERRORS)


def run(options: MakeApwdOptions) -> int:
    """Plan, prepare, render, report."""
    renderer, _ = open_renderer(options.renderer)
    settings = {name: getattr(options, name) for name in _SETTINGS}
    settings["ref_db"] = options.levels_db
    name = f"APwD-like: {options.scene}"
    known = {"name": name, "renderer": renderer, "seed": options.seed, **settings}
    check_folder(options.out, known)
    events, backgrounds, procedural = open_sounds(options)
    report_sounds(events, backgrounds)
    plans = plan_pairs(options, events, backgrounds)
    if options.dry_run:
        return 0
    sounds = {"events": events.listing(), "backgrounds": backgrounds.listing()}
    begin_folder(options.out, known | sounds, RESULTS)
    for one in procedural:
        one.write()
    needs = needed_sources(plans, events, backgrounds)
    done, refused, n_sources = produce_items(
        options, needs, plans, render, pair_name, title="pairs"
    )
    pairs = [PairOfClips(pair_name(plan), options.scene, *plan, clips) for plan, clips in done]
    n_unreadable = len(events.unreadable) + len(backgrounds.unreadable)
    facts = {
        "name": name,
        "settings": settings,
        "renderer": renderer,
        "counts": {"sources": n_sources, "unreadable sources": n_unreadable},
        "deviations": deviations(options),
    }
    refused = write_corpus(options, pairs, refused, facts)
    if any(one.clips for one in refused):
        low_db, high_db = quieter(options.levels_db)
        remedy = f"lower the backgrounds: --ref-db {low_db:g} {high_db:g}, with another --out"
        print(remedy, file=sys.stderr)
    return 2 if refused else 0


def open_sounds(options: MakeApwdOptions) -> tuple[Sounds, Sounds, list[ProceduralSounds]]:
    """Events and backgrounds by split, and those of them that are to be written.

    That takes minutes, so all that is given is looked at before.
    """
    procedural, found = [], []
    wanted: dict[Kind, str] = {"events": options.events, "backgrounds": options.background}
    for kind, given in wanted.items():
        if given == PROCEDURAL:
            folder, n = options.out / "procedural" / kind, options.per_label
            made = ProceduralSounds(folder, kind, n, options.seed, options.sample_rate)
            procedural.append(made)
            found.append(split_sounds(made.libraries.values()))
        else:
            found.append(read_sounds(Path(given), options.seed))
    events, backgrounds = found
    if options.background_label:
        backgrounds = backgrounds.only(options.background_label)
    return events, backgrounds, procedural


def plan_pairs(options: MakeApwdOptions, events: Sounds, backgrounds: Sounds) -> list[PlannedPair]:
    """All pairs, dev first."""
    plans = []
    for split, n_pairs in (("dev", options.pairs_dev), ("eval", options.pairs_eval)):
        palettes = events.by_split[split], backgrounds.by_split[split]
        plans += [(split, plan_pair(options, *palettes, split, n)) for n in range(n_pairs)]
    return plans


def needed_sources(
    plans: Iterable[PlannedPair], events: Sounds, backgrounds: Sounds
) -> RequiredSources:
    """Sources of all plans, each once, sorted by the name of their copy."""
    sources: dict[str, SourceFile] = {}
    of_pair: dict[str, list[str]] = {}
    for split, clips in plans:
        needed = of_pair[pair_name((split, clips))] = []
        bed = {event.label for event in clips[0].events if event.role == "background"}
        for event in (*clips[0].events, *clips[1].events):
            in_bed = event.label in bed
            files = (backgrounds if in_bed else events).by_split[split][event.label]
            name = f"{split}/{event.role}/{event.source}"
            sources[name] = SourceFile(files[event.source], name, in_bed)
            needed.append(name)
    return RequiredSources([sources[name] for name in sorted(sources)], of_pair)


def render(options: MakeApwdOptions, plan: PlannedPair) -> tuple[WrittenClip, WrittenClip]:
    """Both clips, as they are written."""
    first, second = write_clips(options, *plan)
    return first, second


def pair_name(plan: PlannedPair) -> str:
    """What a pair is called."""
    return plan[1][0].name.removesuffix("_s1")


def report_sounds(events: Sounds, backgrounds: Sounds) -> None:
    """Print what there is to draw from."""
    for split in SPLITS:
        for name, sounds in (("events", events), ("backgrounds", backgrounds)):
            labels = sounds.by_split[split]
            n_files = sum(map(len, labels.values()))
            print(f"{split}: {n_files} {name} of {len(labels)} labels")
    if files := sorted({*events.unreadable, *backgrounds.unreadable}):
        print(f"{len(files)} files can't be read, such as {files[0]}", file=sys.stderr)


def deviations(options: MakeApwdOptions) -> list[str]:
    """In what the corpus is not the published one."""
    found = [
        "pairs: drawn anew by this project's recipe",
        "texts: of this project's grammar, as those of the papers are not published",
        f"events: {Path(options.events).name}",
        f"backgrounds: {Path(options.background).name}",
    ]
    if options.levels_db != PUBLISHED_REF_DB:
        found.append("levels: backgrounds at {:g} to {:g} LUFS".format(*options.levels_db))
    return found
