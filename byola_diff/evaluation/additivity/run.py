"""Additivity of an encoder: from options to a score record with curves, and a picture."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import torch

from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.folders import SHORTEST_EVENT_S, choose_events
from byola_diff.evaluation.additivity.measures import (
    METRICS,
    RECALLS,
    additivity,
    clips_over_snr,
    embed_over_snr,
)
from byola_diff.evaluation.additivity.options import USUAL_ADDITIVITY, AdditivityOptions
from byola_diff.evaluation.additivity.polyphony import (
    MAX_SOURCES,
    SourcePool,
    file_pool,
    polyphony_curve,
    procedural_pool,
    usable_labels,
)
from byola_diff.evaluation.additivity.projection import Projection, project, write_projection
from byola_diff.evaluation.additivity.quadruples import (
    AdditivityProtocol,
    EventSounds,
    Sources,
    event_sounds,
    open_sources,
)
from byola_diff.evaluation.jobs import Job
from byola_diff.evaluation.options import deviations
from byola_diff.scores import Curve, ScoreRecord, score_record
from byola_diff.sounds import FOREGROUNDS

_KEPT_BYTES = 1 << 30
"""Limit to sounds that are kept for the next encoder."""

_HIGHEST_RATE = 48_000


@dataclass
class AdditivityCurves:
    """Everything that is measured of one encoder: values as they come in, seed by seed."""

    encoder: Encoder
    batch_size: int
    device: torch.device | str
    values: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """Figures by metric, x and seed."""
    n_events: int = 0
    n_labels: int = 0
    projection: Projection | None = None
    """At the main ratio of the first seed."""

    def measure(
        self, sounds: EventSounds, snrs_db: Sequence[float], main_snr_db: float, seed: int
    ) -> None:
        """Add cosines and recalls of a seed at all ratios."""
        self.n_events = len(sounds.labels)
        how = (self.batch_size, self.device)
        for snr_db, embedded in embed_over_snr(self.encoder.scene, sounds, snrs_db, *how):
            for metric, value in additivity(*embedded).items():
                self._add(metric, snr_db, seed, value)
            if self.projection is None and snr_db == main_snr_db:
                self.projection = project(embedded, sounds.labels)

    def measure_polyphony(self, pool: SourcePool, n_clips: int, seed: int) -> None:
        """Add the polyphony curve of a seed."""
        self.n_labels = len(pool.labels)
        how = (n_clips, seed, self.batch_size, self.device)
        found = polyphony_curve(self.encoder.scene, pool, *how)
        for n_sources, share in found.items():
            self._add("polyphony", float(n_sources), seed, share)

    def scores(self, snr_db: float) -> dict[str, dict[str, float]]:
        """Cosines and recalls at a ratio, by metric and seed."""
        return {metric: self.values[metric][f"{snr_db:g}"] for metric in METRICS}

    def curves(self) -> dict[str, Curve]:
        """All that was measured, with chance."""
        curves = {}
        for metric in METRICS:
            # The cosine by chance depends on the encoder.
            values, chance = self.values[metric], {}
            if metric in RECALLS:
                chance = dict.fromkeys(values, min(RECALLS[metric] / self.n_events, 1.0))
            curves[metric] = Curve("SNR (dB)", values, chance)
        if values := self.values.get("polyphony"):
            chance = {x: int(x) / self.n_labels for x in values}
            curves["polyphony"] = Curve("sources", values, chance)
        return curves

    def _add(self, metric: str, x: float, seed: int, value: float) -> None:
        self.values.setdefault(metric, {}).setdefault(f"{x:g}", {})[f"seed {seed}"] = value


@dataclass(frozen=True)
class AdditivityRun:
    """How encoders are measured, whatever encoder."""

    options: AdditivityOptions
    sources: Sources

    def check(self) -> None:
        """Do nothing if all can be measured; called before an encoder is opened.

        Raises:
            ValueError: If there are too few events, labels or mixtures, sounds are too short, or a
                seed occurs twice.
        """
        options, events = self.options, self.sources.events
        if len(set(options.seeds)) < len(options.seeds):
            raise ValueError(f"a seed occurs twice in {' '.join(map(str, options.seeds))}")
        if options.duration_s < SHORTEST_EVENT_S:
            raise ValueError(f"--duration-s {options.duration_s:g}: at least 0.05 s")
        if options.events < 2:
            raise ValueError("additivity is measured over at least two events: use --events 2")
        if events is not None:
            choose_events(events, options.events, options.seeds[0])
        if 0 < options.polyphony_clips < self.max_sources:
            raise ValueError(
                f"--polyphony-clips {options.polyphony_clips}: with mixtures of 1 to "
                f"{self.max_sources} sources, so many are the least, or 0 for none"
            )

    @cached_property
    def protocol(self) -> AdditivityProtocol:
        """Of each seed's quadruples; every ratio once, in ascending order."""
        snrs_db = tuple(sorted(set(self.options.snr_db)))
        return AdditivityProtocol(self.options.events, snrs_db, self.options.duration_s)

    @cached_property
    def max_sources(self) -> int:
        """Sources in a polyphonic mixture: 8, or as many as there are labels."""
        events = self.sources.events
        return min(MAX_SOURCES, len(FOREGROUNDS if events is None else usable_labels(events)))

    def settings(self) -> dict[str, Any]:
        """What a record says of how it came about."""
        options, main_snr_db = self.options, self.protocol.main_snr_db
        snrs_db = list(self.protocol.snrs_db)
        marks = deviations(replace(options, snr_db=snrs_db), USUAL_ADDITIVITY)
        return {
            "n_events": options.events,
            "seeds": list(options.seeds),
            "snr_db": snrs_db,
            "main_snr_db": main_snr_db,
            "duration_s": options.duration_s,
            "polyphony_clips": options.polyphony_clips,
            **({"max_sources": self.max_sources} if options.polyphony_clips else {}),
            **self.sources.settings(),
            "deviations": marks + ([f"scores at {main_snr_db:g} dB"] if main_snr_db else []),
        }

    @cached_property
    def sounds(self) -> Callable[[int, int], EventSounds]:
        """Sounds by seed and sample rate, kept for the next encoder if they are not too large."""
        n_samples = round(self.options.duration_s * _HIGHEST_RATE)
        n_seeds = len(self.options.seeds)
        n_bytes = 4 * 3 * self.options.events * n_samples * n_seeds

        def make(seed: int, sample_rate: int) -> EventSounds:
            return event_sounds(self.sources, self.protocol, seed, sample_rate)

        return lru_cache(n_seeds)(make) if n_bytes <= _KEPT_BYTES else make

    def records(self, named: NamedEncoder) -> Iterator[ScoreRecord]:
        """The record of all seeds; then the picture, in the folder `exhibits` beside it."""
        start = time.monotonic()
        options, protocol, task = self.options, self.protocol, self.sources.name
        rate, main_snr_db = named.encoder.sample_rate, protocol.main_snr_db
        curves = AdditivityCurves(named.encoder, options.batch_size, options.device)
        for seed in options.seeds:
            curves.measure(self.sounds(seed, rate), protocol.snrs_db, main_snr_db, seed)
            if options.polyphony_clips:
                curves.measure_polyphony(self._pool(seed, rate), options.polyphony_clips, seed)
        scores, wall_s = curves.scores(main_snr_db), time.monotonic() - start
        about = (self.settings(), wall_s)
        yield score_record("additivity", task, named, scores, *about, curves=curves.curves())
        if curves.projection is not None:
            drawn = (curves.projection, options.seeds[0], main_snr_db)
            write_projection(options.out / "exhibits", named, task, *drawn)

    def plan(self, named: NamedEncoder) -> Iterator[str]:
        """What `records` would do, in words."""
        options, snrs_db = self.options, self.protocol.snrs_db
        n_clips = clips_over_snr(options.events, snrs_db) + 2 * options.polyphony_clips
        polyphony = ""
        if options.polyphony_clips:
            polyphony = (
                f"; {options.polyphony_clips} mixtures of 1 to {self.max_sources} sources to train "
                "a probe on, and as many to test it"
            )
        yield (
            f"{named.name} on {self.sources.name}: {options.events} events, each for "
            f"{len(options.seeds)} seeds, at {', '.join(f'{s:g}' for s in snrs_db)} dB"
            f"{polyphony}: {n_clips * len(options.seeds)} clips of {options.duration_s:g} s"
        )

    def _pool(self, seed: int, sample_rate: int) -> SourcePool:
        n_samples = round(self.options.duration_s * sample_rate)
        if self.sources.events is None:
            return procedural_pool(seed, sample_rate, n_samples)
        return file_pool(self.sources.events, seed, sample_rate, n_samples)


def additivity_job(options: AdditivityOptions) -> Job:
    """Additivity and polyphony on procedural sounds, or on those of one or two folders.

    Raises:
        ValueError: If there are too few events, backgrounds, labels or polyphonic mixtures.
        AudioFileError: If a background is unreadable.
        NotADirectoryError: If there is no such folder.
    """
    folders = (options.event_folder, options.background_folder)
    run = AdditivityRun(options, open_sources(*folders, options.duration_s))
    run.check()
    return Job("additivity", run.sources.name, run.settings(), run.records, run.plan)
