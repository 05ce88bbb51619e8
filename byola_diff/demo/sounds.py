"""Sounds that the demo measures with: procedural ones of other seeds than any training stream.

Or recordings of a user: events, backgrounds, or both. All is drawn several times, so that scores
have intervals. Every draw has labelled events, Background-known items made of them, and quadruples
of a background and an event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from byola_diff.demo.stages import CommandError, run_command
from byola_diff.evaluation.additivity.quadruples import (
    EventSounds,
    Sources,
    event_sounds,
    open_sources,
)
from byola_diff.evaluation.bgknown.data import FACTS, BgKnown, read_bgknown
from byola_diff.sounds import FOREGROUNDS
from byola_diff.soundscapes.sources.library import PROCEDURAL, ProceduralSounds
from byola_diff.tables.manifest import Clip, Manifest, read_manifest, write_manifest

N_DRAWS = 4
N_EVENTS = 100
"""Quadruples of a draw, at most."""
N_ITEMS = 96
"""Background-known items of a draw, at most."""

LABELS = tuple(FOREGROUNDS)[::4]
"""Families of the labelled events."""
PER_LABEL = 12
"""Events of each, in five folds."""

SNR_DB = 0.0
"""Level of an event over its background, in quadruples."""
QUADRUPLE_S = 2.0
_SAMPLE_RATE = 16_000
_FIRST_SEED = 1000
"""Far from those of training streams, which count from 0."""


@dataclass(frozen=True)
class HeldOut:
    """The sounds of a demo, below its folder."""

    out: Path
    seed: int
    events: Path | None = None
    """manifest.csv of a user's recordings, with the columns file, label and fold."""
    backgrounds: Path | None = None
    """Folder of a user's recordings of 10 s or more."""

    @property
    def draws(self) -> Mapping[str, int]:
        """Seeds by the names of the draws."""
        first = _FIRST_SEED * (1 + self.seed)
        return {f"draw {number}": first + number for number in range(N_DRAWS)}

    def manifest(self, draw: str) -> Path:
        """Table of the labelled events of a draw; of recordings, all draws have the same."""
        return self.events or self._folder(draw) / "events/manifest.csv"

    def is_made(self, draw: str) -> bool:
        """Whether all files of a draw are there."""
        return self.manifest(draw).is_file() and (self._bgknown(draw) / FACTS).is_file()

    def make(self, draw: str) -> None:
        """Write the labelled events of a draw and the Background-known items made of them.

        Raises:
            CommandError: If no item can be made. Single items that can't are left out, as the
                command that makes them says.
        """
        if self.events is None:
            self._make_events(draw)
        out = self._bgknown(draw)
        try:
            run_command(
                "make bgknown",
                *("--esc50", self.manifest(draw).parent),
                *("--background", self.backgrounds or PROCEDURAL),
                *("--out", out, "--seed", self.draws[draw], "--limit", N_ITEMS),
                *("--sample-rate", _SAMPLE_RATE, "--renderer", "mixer", "--workers", 2),
            )
        except CommandError:
            if not (out / FACTS).is_file():
                raise

    def labelled(self) -> dict[str, Manifest]:
        """Labelled events, by draw; recordings are one draw."""
        draws = self.draws if self.events is None else ["recordings"]
        return {draw: read_manifest(self.manifest(draw)) for draw in draws}

    def bgknown(self) -> dict[str, BgKnown]:
        """Background-known items, by draw, each of which is checked against its hash."""
        sets = {draw: read_bgknown(self._bgknown(draw)) for draw in self.draws}
        for each in sets.values():
            each.check_audio()
        return sets

    def quadruples(self, draw: str, sample_rate: int) -> EventSounds:
        """Waveforms of events and of two backgrounds for each."""
        how = (self.n_events, (SNR_DB,), QUADRUPLE_S, self.draws[draw], sample_rate)
        return event_sounds(self._sources, *how)

    @property
    def n_events(self) -> int:
        """Quadruples of a draw: as many as there are recordings of events, if those are fewer."""
        files = self._sources.events
        return N_EVENTS if files is None else min(N_EVENTS, len(files))

    @cached_property
    def _sources(self) -> Sources:
        return open_sources(self.events, self.backgrounds, QUADRUPLE_S)

    def _make_events(self, draw: str) -> None:
        folder, seed = self.manifest(draw).parent, self.draws[draw]
        sounds = ProceduralSounds(folder, "events", PER_LABEL, seed, _SAMPLE_RATE, LABELS)
        sounds.write()
        sources = sounds.libraries[""].sources
        clips = [Clip(each.file, (each.label,), fold=each.fold) for each in sources]
        write_manifest(self.manifest(draw), clips)

    def _folder(self, draw: str) -> Path:
        return self.out / "sounds" / draw.replace(" ", "_")

    def _bgknown(self, draw: str) -> Path:
        return self._folder(draw) / "bgknown"
