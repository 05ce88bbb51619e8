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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from byola_diff.atomic import write_text
from byola_diff.commit import code_commit
from byola_diff.soundscapes.pairs.changes import changes, event_labels
from byola_diff.soundscapes.pairs.text import difference_text
from byola_diff.soundscapes.production.items import finish, finished
from byola_diff.soundscapes.production.output_folder import OutputFolder
from byola_diff.soundscapes.production.produce import Refusal, write_refused
from byola_diff.soundscapes.render.plan import Soundscape, check_rendered
from byola_diff.soundscapes.render.renderers import RendererName, open_renderer
from byola_diff.soundscapes.sources.preparation import source_roots
from byola_diff.storage import sha256
from byola_diff.tables.pairs import Pair, write_pairs

_TABLE, _SUMMARY, _REFUSED = "pairs.csv", "apwd.json", "refused.csv"
_TABLE_SPLITS = {"dev": "train", "eval": "test"}


@dataclass(frozen=True)
class RenderSettings:
    """Where clips are rendered, and by what."""

    out: Path
    renderer: RendererName = "auto"
    output_rate: int | None = None
    """Sample rate of the wav files in Hz, if not that of the plans."""

    @property
    def sources(self) -> Path:
        """Folder of the prepared sources."""
        return self.out / "source"

    @property
    def folder(self) -> OutputFolder:
        """Folder of the corpus, and of no other one."""
        return OutputFolder(self.out, "procedural", (_TABLE, _SUMMARY))

    @property
    def renderer_name(self) -> str:
        """Renderer with version."""
        return open_renderer(self.renderer)[0]


@dataclass(frozen=True)
class PairOfClips:
    """A pair whose clips are there."""

    name: str
    scene: str
    split: str
    plans: tuple[Soundscape, Soundscape]
    sha256: tuple[str, str]
    """Hashes of both wav files."""


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
        rendered = render(plan, roots)
        check_rendered(plan, rendered)
        audio = {wav: rendered.mixture}
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

    Pairs whose clips do not differ are refused too. Without a pair there is no table.

    Args:
        out: Folder of the corpus.
        pairs: In the order of the table.
        refused: Clips and pairs that could not be made.
        seed: Decides the wording of the texts.
        facts: Name, settings and the like; `counts` in them is completed.
    """
    rows, same = _rows(pairs, seed)
    _write_table(out / _TABLE, rows)
    everything = (*refused, *same)
    write_refused(out / _REFUSED, everything)
    counts = {**facts.get("counts", {}), "pairs": len(rows), "refused": len(everything)}
    counts["refused for clipping"] = sum(one.clips for one in everything)
    packages = {name: version(name) for name in ("byola-diff", "numpy", "soundfile", "soxr")}
    full = {
        **facts,
        "seed": seed,
        "counts": counts,
        "versions": {**packages, "commit": code_commit()},
        "manifests": {_TABLE: sha256(out / _TABLE)} if rows else {},
    }
    write_text(out / _SUMMARY, json.dumps(full, indent=2, ensure_ascii=False) + "\n")
    print(f"{out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if everything:
        print(f"what was refused, and why: {out / _REFUSED}", file=sys.stderr)
    return everything


def _write_table(table: Path, rows: Sequence[tuple[PairOfClips, Pair]]) -> None:
    if not rows:
        table.unlink(missing_ok=True)
        return
    kept = [pair for pair, _ in rows]
    extra = {
        "changes": [";".join(map(str, changes(*pair.plans))) for pair in kept],
        "ref_db": [f"{pair.plans[0].ref_db:.4f}" for pair in kept],
        "first_sha256": [pair.sha256[0] for pair in kept],
        "second_sha256": [pair.sha256[1] for pair in kept],
    }
    write_pairs(table, [row for _, row in rows], extra)


def _rows(
    pairs: Sequence[PairOfClips], seed: int
) -> tuple[list[tuple[PairOfClips, Pair]], list[Refusal]]:
    """Each pair with its row, and pairs whose clips do not differ."""
    rows, refused = [], []
    for pair in pairs:
        first, second = pair.plans
        try:
            text = difference_text(first, second, seed)
        except ValueError as error:
            refused.append(Refusal(pair.name, str(error)))
            continue
        row = Pair(
            name=pair.name,
            scene=pair.scene,
            split=_TABLE_SPLITS[pair.split],
            first=_wav(pair.split, first),
            second=_wav(pair.split, second),
            first_labels=event_labels(first),
            second_labels=event_labels(second),
            text=text,
        )
        rows.append((pair, row))
    return rows, refused


def _wav(split: str, plan: Soundscape) -> str:
    return f"wav/{split}/{plan.name}.wav"
