"""Additivity of an encoder: from options to a score record with curves, and a picture."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import torch

from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.curves import AdditivityCurves
from byola_diff.evaluation.additivity.embedded import clips_over_snr
from byola_diff.evaluation.additivity.folders import SHORTEST_EVENT_S, choose_events
from byola_diff.evaluation.additivity.mixing import EventSounds
from byola_diff.evaluation.additivity.options import USUAL_ADDITIVITY, AdditivityOptions
from byola_diff.evaluation.additivity.polyphony import (
    MAX_SOURCES,
    SourcePool,
    file_pool,
    procedural_pool,
    usable_labels,
)
from byola_diff.evaluation.additivity.projection_figure import write_projection
from byola_diff.evaluation.additivity.quadruples import (
    AdditivityProtocol,
    Sources,
    event_sounds,
    open_sources,
)
from byola_diff.evaluation.jobs import Job
from byola_diff.evaluation.options import deviations
from byola_diff.scores import ScoreRecord, score_record
from byola_diff.sounds import FOREGROUNDS

_KEPT_BYTES = 1 << 30
"""Limit to sounds that are kept for the next encoder."""

_HIGHEST_RATE = 48_000


@dataclass(frozen=True)
class AdditivityRun:
    """How encoders are measured, whatever encoder."""

    protocol: AdditivityProtocol
    sources: Sources
    seeds: tuple[int, ...]
    polyphony_clips: int
    """Mixtures to train on; 0 for no polyphony curve."""
    batch_size: int
    device: torch.device | str

    def check(self) -> None:
        """Do nothing if all can be measured; called before an encoder is opened.

        Raises:
            ValueError: If there are too few events, labels or mixtures, sounds are too short, or a
                seed occurs twice.
        """
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"a seed occurs twice in {' '.join(map(str, self.seeds))}")
        if self.protocol.duration_s < SHORTEST_EVENT_S:
            raise ValueError(f"--duration-s {self.protocol.duration_s:g}: at least 0.05 s")
        n_events, events = self.protocol.n_events, self.sources.events
        if n_events < 2:
            raise ValueError("additivity is measured over at least two events: use --events 2")
        if events is not None:
            choose_events(events, n_events, self.seeds[0])
        if 0 < self.polyphony_clips < self.max_sources:
            raise ValueError(
                f"--polyphony-clips {self.polyphony_clips}: with mixtures of 1 to "
                f"{self.max_sources} sources, so many are the least, or 0 for none"
            )

    @cached_property
    def max_sources(self) -> int:
        """Sources in a polyphonic mixture: 8, or as many as there are labels."""
        events = self.sources.events
        return min(MAX_SOURCES, len(FOREGROUNDS if events is None else usable_labels(events)))

    def settings(self) -> dict[str, Any]:
        """What a record says of how it came about."""
        return {
            "n_events": self.protocol.n_events,
            "seeds": list(self.seeds),
            "snr_db": list(self.protocol.snrs_db),
            "main_snr_db": self.protocol.main_snr_db,
            "duration_s": self.protocol.duration_s,
            "polyphony_clips": self.polyphony_clips,
            **({"max_sources": self.max_sources} if self.polyphony_clips else {}),
            **self.sources.settings(),
        }

    @cached_property
    def sounds(self) -> Callable[[int, int], EventSounds]:
        """Sounds by seed and sample rate, kept for the next encoder if they are not too large."""
        n_samples = round(self.protocol.duration_s * _HIGHEST_RATE)
        n_bytes = 4 * 3 * self.protocol.n_events * n_samples * len(self.seeds)

        def make(seed: int, sample_rate: int) -> EventSounds:
            return event_sounds(self.sources, self.protocol, seed, sample_rate)

        return lru_cache(len(self.seeds))(make) if n_bytes <= _KEPT_BYTES else make

    def measure(self, named: NamedEncoder) -> AdditivityCurves:
        """Everything, for all seeds."""
        rate, protocol = named.encoder.sample_rate, self.protocol
        curves = AdditivityCurves(named.encoder, self.batch_size, self.device)
        for seed in self.seeds:
            curves.measure(self.sounds(seed, rate), protocol.snrs_db, protocol.main_snr_db, seed)
            if self.polyphony_clips:
                curves.measure_polyphony(self._pool(seed, rate), self.polyphony_clips, seed)
        return curves

    def plan(self, named: NamedEncoder) -> Iterator[str]:
        """What `measure` would do, in words."""
        protocol = self.protocol
        n_clips = clips_over_snr(protocol.n_events, protocol.snrs_db) + 2 * self.polyphony_clips
        polyphony = ""
        if self.polyphony_clips:
            polyphony = (
                f"; {self.polyphony_clips} mixtures of 1 to {self.max_sources} sources to train "
                "a probe on, and as many to test it"
            )
        yield (
            f"{named.name} on {self.sources.name}: {protocol.n_events} events, each for "
            f"{len(self.seeds)} seeds, at {', '.join(f'{s:g}' for s in protocol.snrs_db)} dB"
            f"{polyphony}: {n_clips * len(self.seeds)} clips of {protocol.duration_s:g} s"
        )

    def _pool(self, seed: int, sample_rate: int) -> SourcePool:
        n_samples = round(self.protocol.duration_s * sample_rate)
        if self.sources.events is None:
            return procedural_pool(seed, sample_rate, n_samples)
        return file_pool(self.sources.events, seed, sample_rate, n_samples)


def additivity_job(options: AdditivityOptions) -> Job:
    """Additivity and polyphony on procedural sounds, or on those of one or two folders.

    The picture goes to the folder `exhibits` below that of the records.

    Raises:
        ValueError: If there are too few events, backgrounds, labels or polyphonic mixtures.
        AudioFileError: If a background is unreadable.
        NotADirectoryError: If there is no such folder.
    """
    snrs_db = sorted(set(options.snr_db))
    run = AdditivityRun(
        AdditivityProtocol(options.events, tuple(snrs_db), options.duration_s),
        open_sources(options.event_folder, options.background_folder, options.duration_s),
        tuple(options.seeds),
        options.polyphony_clips,
        options.batch_size,
        options.device,
    )
    run.check()
    main_snr_db, task = run.protocol.main_snr_db, run.sources.name
    given = replace(options, snr_db=snrs_db)
    marks = deviations(given, USUAL_ADDITIVITY)
    marks += [f"scores at {main_snr_db:g} dB"] if main_snr_db else []
    about = run.settings() | {"deviations": marks}

    def records(named: NamedEncoder) -> Iterator[ScoreRecord]:
        start = time.monotonic()
        measured = run.measure(named)
        scores, wall_s = measured.scores(main_snr_db), time.monotonic() - start
        curves = measured.curves()
        yield score_record("additivity", task, named, scores, about, wall_s, curves=curves)
        if measured.projection is not None:
            drawn = (measured.projection, run.seeds[0], main_snr_db)
            write_projection(options.out / "exhibits", named, task, *drawn)

    return Job("additivity", task, about, records, run.plan)
