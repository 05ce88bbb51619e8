r"""Make new pairs of clips like APwD's, from any labelled recordings or from procedural sounds.

    python datasets/make_apwd.py --events ESC-50 --background FSD50K --background-label Rain \
        --scene rain --out data/rain
    python datasets/make_apwd.py --events procedural --background procedural --out data/pairs

Recordings lie in the layout of ESC-50 or FSD50K, in a folder with manifest.csv (file, label, fold),
or in one folder per label. Both clips of a pair have the same two backgrounds; one or two changes
are drawn from: an event is added, removed, louder or quieter, or the background is louder or
quieter. Pair k of a split depends on the seed, the scene and k alone. The recordings that are used
are first prepared in OUT/source. What can't be made is listed with the reason in OUT/refused.csv,
and the exit status is then 2. A stopped run goes on when the same command is given again, and the
bytes do not depend on stops or on the number of workers.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from byola_diff.command_line import exit_status, read_options
from byola_diff.commands.corpus_options import PROCEDURAL, USER_ERRORS, CorpusOptions
from byola_diff.soundscapes.pairs.corpus import (
    PairOfClips,
    RenderSettings,
    RequiredSources,
    produce_items,
    write_clip,
    write_corpus,
)
from byola_diff.soundscapes.pairs.plan import (
    PUBLISHED_REF_DB,
    SPLITS,
    PairRecipe,
    plan_pair,
    quieter,
    usual_ref_db,
)
from byola_diff.soundscapes.pairs.sounds import Sounds, read_sounds, split_sounds
from byola_diff.soundscapes.production.produce import named_by_option
from byola_diff.soundscapes.render.plan import Soundscape
from byola_diff.soundscapes.render.renderers import open_renderer
from byola_diff.soundscapes.sources.preparation import SourceFile
from byola_diff.soundscapes.sources.procedural import Kind, ProceduralSounds

_SETTINGS = ("background_label", "pairs_dev", "pairs_eval", "sample_rate", "output_rate")

PlannedPair = tuple[str, tuple[Soundscape, Soundscape]]
"""Split and both clips."""


@dataclass(frozen=True, kw_only=True)
class MakeApwdOptions(CorpusOptions):
    """Which pairs are made of which sounds."""

    events: Annotated[str, "DIR"]
    """ESC-50 or FSD50K as published, a folder with manifest.csv (file, label, fold; fold 5 is for
    eval), or one folder per label; or the word procedural."""
    background: Annotated[str, "DIR"]
    """Likewise."""
    scene: Annotated[str, "NAME"] = "mixed"
    """Part of the names of files."""
    background_label: Annotated[str, "LABEL"] | None = None
    """Label of all backgrounds (default: one per pair)."""
    pairs_dev: Annotated[int, "N"] = 1000
    pairs_eval: Annotated[int, "N"] = 200
    per_label: Annotated[int, "N"] = 10
    """Procedural files."""
    sample_rate: Annotated[int, "HZ"] = 44_100
    ref_db: Annotated[tuple[float, float], "LOW", "HIGH"] | None = None
    """Loudness of each background in LUFS; lower it where too many pairs clip (default: -36 -27, as
    published; -52 -43 with procedural sounds, whose peaks are higher)."""

    def __post_init__(self) -> None:
        if min(self.pairs_dev, self.pairs_eval) < 0 or not self.pairs_dev + self.pairs_eval:
            raise ValueError("--pairs-dev and --pairs-eval must not be negative, nor both 0")
        if self.ref_db is not None and not -70 <= self.ref_db[0] <= self.ref_db[1] <= 0:
            raise ValueError("--ref-db must be two levels from -70 to 0, the lower one first")
        if self.sample_rate < 8_000:
            raise ValueError("--sample-rate must be at least 8000: loudness is not defined below")
        if self.per_label < 5:
            raise ValueError("--per-label must be at least 5: the fifth of each label is for eval")
        if not self.scene.replace("_", "").replace("-", "").isalnum():
            raise ValueError("--scene is part of file names: letters, digits, - and _")

    @property
    def levels_db(self) -> tuple[float, float]:
        """`ref_db`, or the usual levels of such sounds."""
        return self.ref_db or usual_ref_db(PROCEDURAL in (self.events, self.background))


def main(arguments: Sequence[str] | None = None, prog: str = "make_apwd.py") -> int:
    """Exit status: 0 if all pairs were made, 2 for refused pairs or wrong arguments."""
    options = read_options(MakeApwdOptions, arguments, prog=prog, description=__doc__)
    return exit_status(prog, partial(run, options), USER_ERRORS)


def run(options: MakeApwdOptions) -> int:
    """Plan, prepare, render, report."""
    studio = RenderSettings(options.out, options.renderer, options.output_rate, options.workers)
    renderer, _ = open_renderer(options.renderer)
    settings = {name: getattr(options, name) for name in _SETTINGS}
    settings["ref_db"] = options.levels_db
    name = f"APwD-like: {options.scene}"
    known = {"name": name, "renderer": renderer, "seed": options.seed}
    studio.folder.check(known | settings)
    events, backgrounds, procedural = open_sounds(options, studio.folder.procedural)
    report_sounds(events, backgrounds)
    plans = plan_pairs(options, events, backgrounds)
    if options.dry_run:
        return 0
    for one in procedural:
        one.write()
    sounds = {"events": events.listing(), "backgrounds": backgrounds.listing()}
    studio.folder.begin(known | settings | sounds)
    needs = needed_sources(plans, events, backgrounds)
    made = produce_items(studio, needs, plans, render, pair_name, title="pairs")
    pairs = [
        PairOfClips(pair_name(plan), options.scene, plan[0], plan[1], hashes)
        for plan, hashes in made.done
    ]
    n_unreadable = len(events.unreadable) + len(backgrounds.unreadable)
    facts = {
        "name": name,
        "settings": settings,
        "renderer": renderer,
        "counts": {"sources": made.n_sources, "unreadable sources": n_unreadable},
        "deviations": deviations(options),
    }
    refused = named_by_option(made.refused)
    refused = write_corpus(options.out, pairs, refused, options.seed, facts)
    if any(one.clips for one in refused):
        low_db, high_db = quieter(options.levels_db)
        remedy = f"lower the backgrounds: --ref-db {low_db:g} {high_db:g}, with another --out"
        print(remedy, file=sys.stderr)
    return 2 if refused else 0


def open_sounds(
    options: MakeApwdOptions, folder: Path
) -> tuple[Sounds, Sounds, list[ProceduralSounds]]:
    """Events and backgrounds by split, and those of them that are to be written to `folder`.

    That takes minutes, so all that is given is looked at before.
    """
    sounds = partial(ProceduralSounds, seed=options.seed, sample_rate=options.sample_rate)
    procedural, found = [], []
    wanted: dict[Kind, str] = {"events": options.events, "backgrounds": options.background}
    for kind, given in wanted.items():
        if given == PROCEDURAL:
            made = sounds(folder / kind, kind, per_label=options.per_label)
            procedural.append(made)
            found.append(split_sounds(made.libraries))
        else:
            found.append(read_sounds(Path(given), options.seed))
    events, backgrounds = found
    if options.background_label:
        backgrounds = backgrounds.only(options.background_label)
    return events, backgrounds, procedural


def plan_pairs(options: MakeApwdOptions, events: Sounds, backgrounds: Sounds) -> list[PlannedPair]:
    """All pairs, dev first."""
    recipe = PairRecipe(options.scene, options.seed, options.sample_rate, options.levels_db)
    plans = []
    for split, n_pairs in (("dev", options.pairs_dev), ("eval", options.pairs_eval)):
        palettes = events.by_split[split], backgrounds.by_split[split]
        plans += [(split, plan_pair(recipe, *palettes, split, n)) for n in range(n_pairs)]
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
            source = SourceFile(files[event.source], split, event.role, event.source, in_bed)
            sources[source.name] = source
            needed.append(source.name)
    return RequiredSources([sources[name] for name in sorted(sources)], of_pair)


def render(studio: RenderSettings, plan: PlannedPair) -> tuple[str, str]:
    """SHA-256 of the audio of both clips."""
    split, (first, second) = plan
    return write_clip(studio, split, first), write_clip(studio, split, second)


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
