r"""Make Background-known ESC-50: clips in backgrounds, each with three reference backgrounds.

    python datasets/make_bgknown_esc50.py --esc50 data/ESC-50-master --background data/FSD50K \
        --out data/bgknown --workers 8
    python datasets/make_bgknown_esc50.py --esc50 procedural --background procedural --out bgknown

Folds 1 to 3 are for training, in backgrounds of the dev part, folds 4 and 5 for the test, in those
of the eval part. Reference (a) is the background of the mixture, (b) overlaps it by half, (c) not.
Writes manifests mix.csv, a.csv, b.csv and c.csv, items.csv with every parameter, bgknown.json, wav
and JAMS files. Items that can't be made are in refused.csv, and the exit status is 2. A stopped run
goes on when the same command is given again; the bytes do not depend on stops or workers.
"""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Annotated, Literal

from byola_diff.command_line import exit_status, read_options
from byola_diff.commands.corpus_options import PROCEDURAL, USER_ERRORS, CorpusOptions, Folder
from byola_diff.option_fields import Count
from byola_diff.sounds import BACKGROUNDS
from byola_diff.soundscapes.bgknown.backgrounds import read_backgrounds
from byola_diff.soundscapes.bgknown.corpus import (
    BgKnownPlan,
    bgknown_folder,
    make_bgknown,
    plan_bgknown,
)
from byola_diff.soundscapes.bgknown.plan import PART_OF_SPLIT, SPLIT_OF_FOLD, BgKnownSettings
from byola_diff.soundscapes.render.renderers import open_renderer
from byola_diff.soundscapes.sources.library import Library, read_esc50
from byola_diff.soundscapes.sources.procedural import ProceduralSounds

_USUAL = BgKnownSettings()


@dataclass(frozen=True, kw_only=True)
class MakeBgKnownOptions(CorpusOptions):
    """Which items are made of which sounds, and how they sound."""

    esc50: Folder
    """ESC-50 as published, or a folder with manifest.csv (file, label, fold); or the word
    procedural."""
    background: list[Folder]
    """FSD50K as published; or two folders of recordings of at least 10 s, for training and for the
    test; or one folder to be divided; or the word procedural."""
    ref_db: Annotated[float, "LUFS"] = _USUAL.ref_db
    """Loudness of backgrounds in mixtures."""
    snr_db: Annotated[tuple[float, float], "LOW", "HIGH"] = _USUAL.snr_db
    """Loudness of events above that."""
    reference_level: Literal["scene", "normalised"] = _USUAL.reference_level
    """scene: references have the gain of the background in the mixture; normalised: each has the
    loudness --ref-db."""
    sample_rate: Annotated[Count, "HZ"] = _USUAL.sample_rate
    """Hz, of the sounds that are made."""
    exclude_background_labels: list[Annotated[str, "LABEL"]] = field(default_factory=list)
    """Backgrounds of these are left out."""
    limit: Count | None = None
    """At most N items, of all labels and both splits in turn."""
    clips_per_label: Count = 20
    """Procedural events of each kind."""

    def __post_init__(self) -> None:
        if not -70 < self.ref_db < 0:
            raise ValueError("--ref-db must lie between -70 and 0")
        if len(self.background) > 2:
            raise ValueError("--background takes one folder or two")


def main(arguments: Sequence[str] | None = None, prog: str = "make_bgknown_esc50.py") -> int:
    """Exit status: 0 for a whole data set, 2 for wrong arguments or refused items."""
    options = read_options(MakeBgKnownOptions, arguments, prog=prog, description=__doc__)
    return exit_status(prog, partial(run, options), USER_ERRORS)


def run(args: MakeBgKnownOptions) -> int:
    """Plan, render, report."""
    start = time.monotonic()
    names = [one.name for one in fields(BgKnownSettings) if one.name != "duration_s"]
    settings = BgKnownSettings(**{name: getattr(args, name) for name in names})
    renderer = open_renderer(args.renderer)
    excluded = sorted(args.exclude_background_labels)
    known = {"excluded_labels": excluded, "limit": args.limit, "renderer": renderer[0]}
    bgknown_folder(args.out).check({**asdict(settings), **known})
    plan, procedural = read_plan(args, settings)
    print_plan(plan, renderer[0])
    if args.dry_run:
        return 0
    for sounds in procedural:
        sounds.write()
    summary, refused = make_bgknown(plan, args.out, renderer, n_workers=args.workers)
    n_items = summary["counts"]["items"] if summary else 0
    seconds = time.monotonic() - start
    print(f"{args.out}: {n_items} items made, {len(refused)} refused, {seconds:.0f} s")
    if refused:
        print(f"first refused: {refused[0].name}: {refused[0].reason}", file=sys.stderr)
        print(f"all of them: {args.out / 'refused.csv'}", file=sys.stderr)
    return 2 if refused else 0


def read_plan(
    args: MakeBgKnownOptions, settings: BgKnownSettings
) -> tuple[BgKnownPlan, list[ProceduralSounds]]:
    """The plan for the sources of the command line, and those of them that are to be written.

    That takes minutes, so all that is given is looked at before.
    """
    folder, excluded = bgknown_folder(args.out).procedural, args.exclude_background_labels
    sounds = partial(ProceduralSounds, seed=args.seed, sample_rate=args.sample_rate)
    procedural, deviations = [], []
    if str(args.esc50) == PROCEDURAL:
        made = sounds(folder / "events", "events", per_label=args.clips_per_label)
        procedural.append(made)
        events = made.libraries[""]
        deviations.append("events: procedural")
    else:
        events = read_esc50(args.esc50)
    if list(map(str, args.background)) == [PROCEDURAL]:
        families = [name for name in BACKGROUNDS if name not in excluded]
        # So many that none need serve twice.
        n = math.ceil(most_items(events, args.limit) / max(1, len(families)))
        made = sounds(folder / "backgrounds", "backgrounds", per_label=n, labels=families)
        procedural.append(made)
        backgrounds = made.libraries
        deviations.append("backgrounds: procedural")
    else:
        least_s = settings.window_s
        backgrounds, told = read_backgrounds(args.background, args.seed, least_s, excluded)
        deviations += told
    choices = {"excluded_labels": excluded, "n_items": args.limit, "deviations": deviations}
    return plan_bgknown(events, backgrounds, settings, **choices), procedural


def most_items(events: Library, limit: int | None) -> int:
    """Items of the larger split, at most."""
    in_train = [SPLIT_OF_FOLD.get(source.fold or 0) == "train" for source in events.sources]
    most = max(sum(in_train), len(in_train) - sum(in_train))
    return most if limit is None else min(most, limit)


def print_plan(plan: BgKnownPlan, renderer: str) -> None:
    """Counts of what will be made, and in what it is not the published data set."""
    for split, part in PART_OF_SPLIT.items():
        items = [item for item in plan.items if item.split == split]
        labels = {item.event.label for item in items}
        n_backgrounds = len({item.backgrounds[0].file for item in items})
        n_known = len(plan.backgrounds[part].sources)
        print(
            f"{split}: {len(items)} items of {len(labels)} classes, "
            f"in {n_backgrounds} of {n_known} backgrounds"
        )
    print(f"rendered by {renderer}")
    libraries = plan.backgrounds.values()  # both parts of one folder tell the same files
    unreadable = {(one.root / file, why) for one in libraries for file, why in one.unreadable_files}
    if unreadable:
        file, why = min(unreadable)
        print(f"backgrounds that can't be read: {len(unreadable)}, such as {file}: {why}")
    if plan.deviations:
        print(f"differs from the published data set: {'; '.join(plan.deviations)}")
