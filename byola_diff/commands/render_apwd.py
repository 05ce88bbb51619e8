r"""Render the published soundscapes of APwD, and the first clips of AudioDiffCaps, as audio.

    python datasets/render_apwd.py --jams apwd-dataset/datasets --esc50 ESC-50 --fsd50k FSD50K \
        --out data/apwd

The JAMS files are those of github.com/nttcslab/apwd-dataset and nttcslab/audio-diff-caps. First the
recordings that they refer to are prepared in OUT/source, then the clips are rendered, then the
pairs are written to OUT/pairs.csv with a text of each difference. What can't be made is listed with
the reason in OUT/refused.csv, and the exit status is then 2. Where a clip would reach full scale,
which Scaper would write clipped, both clips of its pair get one common gain, and the column
common_gain_db of OUT/pairs.csv tells it; with --clipping refuse the clip is left out. OUT/apwd.json
says which was done, and how often. A stopped run goes on when the same command is given again, and
the bytes do not depend on stops or on the number of workers.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

from byola_diff.command_line import exit_status, read_options
from byola_diff.option_fields import Count
from byola_diff.soundscapes.pairs.corpus import (
    RESULTS,
    PairOfClips,
    RequiredSources,
    WrittenClip,
    prepare_sources,
    sources_of_split,
    write_clips,
    write_corpus,
)
from byola_diff.soundscapes.pairs.published import PublishedClip, published_clips, published_sources
from byola_diff.soundscapes.production.output_folder import (
    USER_ERRORS,
    CorpusOptions,
    Folder,
    begin_folder,
    check_folder,
    in_own_folder,
    listing,
)
from byola_diff.soundscapes.production.produce import Refusal, attempt, produce
from byola_diff.soundscapes.render.jams_file import JamsError, read_jams
from byola_diff.soundscapes.render.mixer import open_renderer
from byola_diff.soundscapes.render.plan import Soundscape

RenderedClip = tuple[PublishedClip, Soundscape, WrittenClip]

_NAME = "APwD"
_DEVIATIONS = [
    "texts: of this project's grammar, as those of the papers are not published",
    "wav files: 24 bits; sources: clipped where the original program wraps around",
]


@dataclass(frozen=True, kw_only=True)
class RenderApwdOptions(CorpusOptions):
    """Which published soundscapes are rendered, of which recordings."""

    jams: Folder
    """Folder of JAMS files, searched in depth."""
    esc50: Folder
    """Folder of ESC-50."""
    fsd50k: Folder
    """Folder of FSD50K."""
    limit: Count | None = None
    """Only the first N pairs of each scene and split."""


def main(arguments: Sequence[str] | None = None, prog: str = "render_apwd.py") -> int:
    """Exit status: 0 if everything was rendered, 2 for refused items or wrong arguments."""
    options = read_options(RenderApwdOptions, arguments, prog=prog, description=__doc__)
    return exit_status(prog, partial(in_own_folder, run, options), USER_ERRORS)


def run(options: RenderApwdOptions) -> int:
    """Prepare, render, pair, report."""
    clips, refused = published_clips(options.jams)
    clips = first_pairs(clips, options.limit)
    renderer, _ = open_renderer(options.renderer)
    settings = {name: getattr(options, name) for name in ("limit", "output_rate", "clipping")}
    known = {"name": _NAME, "renderer": renderer, "seed": options.seed, **settings}
    known["jams"] = listing([clip.name for clip in clips], "files")
    check_folder(options.out, known)
    sources = published_sources(clips, options.esc50, options.fsd50k)
    report_sources(clips, sources)
    if options.dry_run:
        return 0
    begin_folder(options.out, known, RESULTS)
    done, unmade, n_sources = render_clips(options, sources, clips)
    pairs, n_alone = whole_pairs(done)
    facts = {
        "name": _NAME,
        "settings": settings,
        "renderer": renderer,
        "counts": {
            "clips": len(done),
            "clips without the other one of their pair": n_alone,
            "sources": n_sources,
            "sources of the other split": len(sources.leaks),
        },
        "deviations": _DEVIATIONS,
        "leaks": sources.leaks,
    }
    return 2 if write_corpus(options, pairs, [*refused, *unmade], facts) else 0


def render_clips(
    options: RenderApwdOptions, sources: RequiredSources, clips: Sequence[PublishedClip]
) -> tuple[list[RenderedClip], list[Refusal], int]:
    """Rendered clips, refused sources and clips, and the number of sources that were prepared."""
    n_sources, lost, unmade = prepare_sources(options, sources)
    possible = [clip for clip in clips if clip.name not in unmade]
    pairs = [list(both) for _, both in groupby(possible, key=lambda clip: clip.pair)]
    work = partial(render, options)
    # Whatever is wrong with a clip is told of that clip: no pair as such is refused.
    done, _ = produce(pairs, work, lambda pair: pair[0].pair, **options.crew, title="pairs")
    made = [one for _, both in done for one in both]
    unmade |= {one.name: one for one in made if isinstance(one, Refusal)}
    in_order = [unmade[clip.name] for clip in clips if clip.name in unmade]
    return [one for one in made if not isinstance(one, Refusal)], [*lost, *in_order], n_sources


def render(
    options: RenderApwdOptions, clips: Sequence[PublishedClip]
) -> list[RenderedClip | Refusal]:
    """The clips of a pair, or one alone; if one can't be rendered, the other is by itself."""
    made = attempt(partial(_render_together, options), clips)
    if not isinstance(made, Refusal):
        return list(made)
    if len(clips) > 1:
        return [one for clip in clips for one in render(options, [clip])]
    [name] = [clip.name for clip in clips]
    return [replace(made, name=name, reason=made.reason.removeprefix(f"{name}: "))]


def _render_together(
    options: RenderApwdOptions, clips: Sequence[PublishedClip]
) -> list[RenderedClip]:
    plans = [read_plan(options, clip) for clip in clips]
    return list(zip(clips, plans, write_clips(options, clips[0].split, plans), strict=True))


def read_plan(options: RenderApwdOptions, clip: PublishedClip) -> Soundscape:
    """Plan of a clip."""
    try:
        plan = read_jams(clip.jams, sources_of_split(options, clip.split))
    except JamsError as error:
        reason = str(error).removeprefix(f"{clip.jams}: ")
        raise ValueError(reason) from error  # the clip is named, and its file like it
    return replace(plan, name=clip.name)  # whatever title the file gives itself


def first_pairs(clips: list[PublishedClip], limit: int | None) -> list[PublishedClip]:
    """Clips of the first `limit` pairs of each scene and split; all without a limit."""
    kept, seen = [], Counter()
    for _, both in groupby(clips, key=lambda clip: clip.pair):
        pair = list(both)
        seen[pair[0].scene, pair[0].split] += 1
        if limit is None or seen[pair[0].scene, pair[0].split] <= limit:
            kept += pair
    return kept


def whole_pairs(rendered: Sequence[RenderedClip]) -> tuple[list[PairOfClips], int]:
    """Pairs of which both clips are there, and how many clips are alone.

    `ValueError` is raised if the clips of a pair have not one gain.
    """
    pairs, n_alone = [], 0
    for name, group in groupby(rendered, key=lambda one: one[0].pair):
        both = list(group)
        if len(both) < 2:
            n_alone += 1
            continue
        (clip, first, one), (_, second, other) = both
        if one.gain_db != other.gain_db:  # after a fault that did not last
            raise ValueError(f"{name}: its clips were not rendered together: give the same command")
        pairs.append(PairOfClips(name, clip.scene, clip.split, (first, second), (one, other)))
    return pairs, n_alone


def report_sources(clips: Sequence[PublishedClip], sources: RequiredSources) -> None:
    """Print what was found, and what is odd about it."""
    for (scene, split), count in sorted(Counter((c.scene, c.split) for c in clips).items()):
        print(f"{scene} {split}: {count} clips")
    print(f"{len(sources.files)} sources to prepare")
    for names, what in (
        (list(sources.missing), "are in neither data set"),
        (sources.leaks, "belong to the other split"),
    ):
        if names:
            print(f"{len(names)} sources {what}, such as {names[0]}", file=sys.stderr)
