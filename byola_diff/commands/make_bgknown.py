r"""Make Background-known ESC-50: clips in backgrounds, each with three reference backgrounds.

    python datasets/make_bgknown_esc50.py --esc50 data/ESC-50-master --background data/FSD50K \
        --out data/bgknown --workers 8
    python datasets/make_bgknown_esc50.py --esc50 procedural --background procedural --out bgknown

Folds 1 to 3 are for training, in backgrounds of the dev part, folds 4 and 5 for the test, in those
of the eval part. Reference (a) is the background of the mixture, (b) overlaps it by half, (c) not.
Writes manifests mix.csv, a.csv, b.csv and c.csv, items.csv with every parameter, bgknown.json, wav
and JAMS files. Where one would reach full scale, a mixture and its references get one common gain,
which is in the column common_gain_db of items.csv; with --clipping refuse the item is left out.
Items that can't be made are in refused.csv, and the exit status is 2. A stopped run goes on when
the same command is given again; the bytes do not depend on stops or workers.
"""

import math
import sys
import time
from collections.abc import Sequence
from functools import partial

from byola_diff.command_line import exit_status, read_options
from byola_diff.sounds import BACKGROUNDS
from byola_diff.soundscapes.bgknown.backgrounds import read_backgrounds, usable
from byola_diff.soundscapes.bgknown.corpus import (
    BgKnownPlan,
    known_settings,
    make_bgknown,
    plan_bgknown,
)
from byola_diff.soundscapes.bgknown.plan import PART_OF_SPLIT, SPLIT_OF_FOLD, BgKnownOptions
from byola_diff.soundscapes.production.output_folder import USER_ERRORS, check_folder, in_own_folder
from byola_diff.soundscapes.render.mixer import open_renderer
from byola_diff.soundscapes.sources.library import PROCEDURAL, Library, ProceduralSounds, read_esc50


def main(arguments: Sequence[str] | None = None, prog: str = "make_bgknown_esc50.py") -> int:
    """Exit status: 0 for a whole data set, 2 for wrong arguments or refused items."""
    options = read_options(BgKnownOptions, arguments, prog=prog, description=__doc__)
    return exit_status(prog, partial(in_own_folder, run, options), USER_ERRORS)


def run(options: BgKnownOptions) -> int:
    """Plan, render, report."""
    start = time.monotonic()
    renderer = open_renderer(options.renderer)
    check_folder(options.out, known_settings(options) | {"renderer": renderer[0]})
    plan, procedural = read_plan(options)
    print_plan(plan, renderer[0])
    if options.dry_run:
        return 0
    summary, refused = make_bgknown(plan, renderer, procedural)
    counts = summary["counts"] if summary else {"items": 0, "with a common gain": 0}
    made = f"{counts['items']} items made, {len(refused)} refused"
    told, seconds = f"{counts['with a common gain']} with a common gain", time.monotonic() - start
    print(f"{options.out}: {made}, {told}, {seconds:.0f} s")
    if refused:
        print(f"first refused: {refused[0].name}: {refused[0].reason}", file=sys.stderr)
        print(f"all of them: {options.out / 'refused.csv'}", file=sys.stderr)
    return 2 if refused else 0


def read_plan(options: BgKnownOptions) -> tuple[BgKnownPlan, list[ProceduralSounds]]:
    """The plan for the sources of the command line, and those of them that are to be written.

    That takes minutes, so all that is given is looked at before.
    """
    folder, excluded = options.out / "sources", options.exclude_background_labels
    seed_and_rate = options.seed, options.sample_rate
    procedural, deviations = [], []
    if str(options.esc50) == PROCEDURAL:
        n = options.clips_per_label
        made = ProceduralSounds(folder / "events", "events", n, *seed_and_rate)
        procedural.append(made)
        events = made.libraries[""]
        deviations.append("events: procedural")
    else:
        events = read_esc50(options.esc50)
    if list(map(str, options.background)) == [PROCEDURAL]:
        families = [name for name in BACKGROUNDS if name not in excluded]
        # So many that none need serve twice.
        n = math.ceil(most_items(events, options.limit) / max(1, len(families)))
        made = ProceduralSounds(folder / "backgrounds", "backgrounds", n, *seed_and_rate, families)
        procedural.append(made)
        backgrounds = {part: usable(one, options) for part, one in made.libraries.items()}
        deviations.append("backgrounds: procedural")
    else:
        backgrounds, told = read_backgrounds(options)
        deviations += told
    return plan_bgknown(events, backgrounds, options, deviations), procedural


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
