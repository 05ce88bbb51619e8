r"""Render the published soundscapes of APwD, and the first clips of AudioDiffCaps, as audio.

    python datasets/render_apwd.py --jams apwd-dataset/datasets --esc50 ESC-50 --fsd50k FSD50K \
        --out data/apwd

The JAMS files are those of github.com/nttcslab/apwd-dataset and nttcslab/audio-diff-caps. First the
recordings that they refer to are prepared in OUT/source, then the clips are rendered, then the
pairs are written to OUT/pairs.csv with a text of each difference. What can't be made is listed with
the reason in OUT/refused.csv, and the exit status is then 2. A stopped run goes on when the same
command is given again, and the bytes do not depend on stops or on the number of workers.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path

from byola_diff.audio.files import AudioFileError
from byola_diff.soundscapes.apwd_corpus import PairOfClips, Studio, write_clip, write_corpus
from byola_diff.soundscapes.apwd_options import apwd_options, parsed
from byola_diff.soundscapes.apwd_published import (
    PublishedClip,
    PublishedSources,
    published_clips,
    published_sources,
)
from byola_diff.soundscapes.jams_file import read_jams
from byola_diff.soundscapes.plan import Soundscape
from byola_diff.soundscapes.produce import produce
from byola_diff.soundscapes.source_preparation import SourceFile, prepare, source_roots

USER_ERRORS = (AudioFileError, ModuleNotFoundError, OSError, ValueError)

_DEVIATIONS = [
    "texts: of this project's grammar, as those of the papers are not published",
    "wav files: 24 bits; sources: clipped where the original program wraps around",
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 if everything was rendered, 2 for refused items or wrong arguments."""
    options = parse_args(arguments)
    try:
        return run(options)
    except USER_ERRORS as error:
        print(f"render_apwd.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nrender_apwd.py: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def run(options: argparse.Namespace) -> int:
    """Prepare, render, pair, report."""
    clips, refused = published_clips(options.jams)
    clips = first_pairs(clips, options.limit)
    sources = published_sources(clips, options.esc50, options.fsd50k)
    report_sources(clips, sources)
    if options.dry_run:
        return 0
    studio = Studio(options.out, options.renderer, options.output_rate)
    copies = produce(
        sources.files,
        partial(prepare, folder=studio.sources),
        source_name,
        n_workers=options.workers,
        title="sources",
    )
    rendered = produce(
        clips, partial(render, studio), clip_name, n_workers=options.workers, title="clips"
    )
    refused += [*copies.refused, *rendered.refused]
    pairs, n_alone = whole_pairs(rendered.done)
    facts = {
        "name": "APwD",
        "settings": {"limit": options.limit, "output_rate": options.output_rate},
        "renderer": studio.renderer_name,
        "counts": {
            "clips": len(rendered.done),
            "clips without the other one of their pair": n_alone,
            "sources": len(copies.done),
            "sources of the other split": len(sources.leaks),
        },
        "deviations": _DEVIATIONS,
        "leaks": sources.leaks,
    }
    if write_corpus(options.out, pairs, refused, options.seed, facts):
        print(f"what was refused, and why: {options.out / 'refused.csv'}", file=sys.stderr)
        return 2
    return 0


def render(studio: Studio, clip: PublishedClip) -> tuple[Soundscape, str]:
    """Plan of a clip and the SHA-256 of its audio."""
    plan = read_jams(clip.jams, source_roots(studio.sources, clip.split))
    plan = replace(plan, name=clip.name)  # whatever title the file gives itself
    return plan, write_clip(studio, clip.split, plan)


def first_pairs(clips: list[PublishedClip], limit: int | None) -> list[PublishedClip]:
    """Clips of the first `limit` pairs of each scene and split; all without a limit."""
    kept, seen = [], Counter()
    for _, both in groupby(clips, key=lambda clip: clip.pair):
        pair = list(both)
        seen[pair[0].scene, pair[0].split] += 1
        if limit is None or seen[pair[0].scene, pair[0].split] <= limit:
            kept += pair
    return kept


def whole_pairs(
    rendered: Sequence[tuple[PublishedClip, tuple[Soundscape, str]]],
) -> tuple[list[PairOfClips], int]:
    """Pairs of which both clips are there, and how many clips are alone."""
    pairs, n_alone = [], 0
    for name, group in groupby(rendered, key=lambda one: one[0].pair):
        both = list(group)
        if len(both) < 2:
            n_alone += 1
            continue
        (clip, (first, first_hash)), (_, (second, second_hash)) = both
        plans, hashes = (first, second), (first_hash, second_hash)
        pairs.append(PairOfClips(name, clip.scene, clip.split, plans, hashes))
    return pairs, n_alone


def report_sources(clips: Sequence[PublishedClip], sources: PublishedSources) -> None:
    """Print what was found, and what is odd about it."""
    for (scene, split), count in sorted(Counter((c.scene, c.split) for c in clips).items()):
        print(f"{scene} {split}: {count} clips")
    print(f"{len(sources.files)} sources to prepare")
    for names, what in (
        (sources.missing, "are in neither data set"),
        (sources.leaks, "belong to the other split"),
    ):
        if names:
            print(f"{len(names)} sources {what}, such as {names[0]}", file=sys.stderr)


def clip_name(clip: PublishedClip) -> str:
    """What a clip is called in messages."""
    return clip.name


def source_name(source: SourceFile) -> str:
    """What a source is called in messages."""
    return f"source/{source.name}"


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Options of the command line, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--jams", type=Path, required=True, help="folder of JAMS files, searched in depth"
    )
    parser.add_argument("--esc50", type=Path, required=True, help="folder of ESC-50")
    parser.add_argument("--fsd50k", type=Path, required=True, help="folder of FSD50K")
    apwd_options(parser)
    parser.add_argument(
        "--limit", type=int, metavar="N", help="only the first N pairs of each scene and split"
    )
    return parsed(parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
