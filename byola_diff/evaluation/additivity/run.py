"""Additivity of an encoder: from options to a score record with curves, and a picture."""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Annotated, Any

from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.folders import SHORTEST_EVENT_S, choose_events
from byola_diff.evaluation.additivity.made_quadruples import ToneQuadruples, open_quadruples
from byola_diff.evaluation.additivity.measures import (
    METRICS,
    RECALLS,
    additivity,
    clips_over_snr,
    counted,
    embed_over_snr,
)
from byola_diff.evaluation.additivity.polyphony import (
    MAX_SOURCES,
    SourcePool,
    file_pool,
    polyphony_curve,
    procedural_pool,
    usable_labels,
)
from byola_diff.evaluation.additivity.projection import project, write_projection
from byola_diff.evaluation.additivity.quadruple_run import quadruple_job
from byola_diff.evaluation.additivity.quadruples import (
    PROCEDURAL,
    EventSounds,
    Sources,
    event_sounds,
    open_sources,
)
from byola_diff.evaluation.jobs import Job
from byola_diff.evaluation.options import (
    Folder,
    ScoreOptions,
    deviations,
    number_or_nan,
    positive_number,
)
from byola_diff.option_fields import RARE, Count, positive_whole
from byola_diff.progress import progress
from byola_diff.scores import Curve, ScoreRecord, score_record
from byola_diff.sounds import FOREGROUNDS

_MAX_DB = 60.0

_KEPT_BYTES = 1 << 30
"""Limit to sounds that are kept for the next encoder."""

_HIGHEST_RATE = 48_000


def _decibel(word: str | float) -> float:
    number = number_or_nan(word)
    if not -_MAX_DB <= number <= _MAX_DB:
        raise argparse.ArgumentTypeError(f"{word!r} is no level within {_MAX_DB:g} dB of 0")
    return number


def _whole(word: str | int) -> int:
    return 0 if word in ("0", 0) else positive_whole(word)


@dataclass(frozen=True, kw_only=True)
class AdditivityOptions(ScoreOptions):
    """Options of the verb `additivity`."""

    quadruples: Folder | None = None
    """Ready-made quadruples, in place of all below: a folder of A-COAT-2k, or one with
    quadruples.csv (columns A, B, C, D); or the word procedural, for scenes of tones like them."""
    limit: Annotated[Count, RARE] | None = None
    """At most so many of those quadruples."""
    event_folder: Folder | None = None
    """Events: a folder per label, a folder with manifest.csv, or a manifest (default:
    procedural)."""
    background_folder: Folder | None = None
    """Backgrounds: long files in a folder or in those below it (default: procedural)."""
    events: Count = 200
    """Number of events."""
    snr_db: Annotated[list[Annotated[float, _decibel, "DB"]], RARE] = field(
        default_factory=lambda: [-10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0]
    )
    """Levels of events against backgrounds; the score is that nearest to 0."""
    duration_s: Annotated[float, positive_number, "S", RARE] = 2.0
    """Length of each sound."""
    polyphony_clips: Annotated[int, _whole, "N", RARE] = 400
    """Mixtures of 1 to 8 sources to train a probe on, and as many to test it; 0 for none."""
    seeds: Annotated[list[Annotated[int, "N"]], RARE] = field(default_factory=lambda: [0, 1, 2])
    """Each gives other sounds, and a score."""


@dataclass(frozen=True)
class AdditivityRun:
    """How encoders are measured, whatever encoder."""

    options: AdditivityOptions
    sources: Sources

    @property
    def main_snr_db(self) -> float:
        """The ratio nearest to 0 dB, at which scores are; of two the higher one."""
        return min(self.options.snr_db, key=lambda snr_db: (abs(snr_db), -snr_db))

    @cached_property
    def n_labels(self) -> int:
        """Labels that polyphonic mixtures are of."""
        events = self.sources.events
        return len(FOREGROUNDS if events is None else usable_labels(events))

    @property
    def max_sources(self) -> int:
        """Sources in a polyphonic mixture: 8, or as many as there are labels."""
        return min(MAX_SOURCES, self.n_labels)

    @property
    def n_clips(self) -> int:
        """Clips that are embedded, over all seeds."""
        options = self.options
        n_clips = clips_over_snr(options.events, options.snr_db) + 2 * options.polyphony_clips
        return n_clips * len(options.seeds)

    def settings(self) -> dict[str, Any]:
        """What a record says of how it came about."""
        options, main_snr_db = self.options, self.main_snr_db
        marks = deviations(options, "events", "snr_db", "duration_s", "seeds")
        return {
            "n_events": options.events,
            "seeds": list(options.seeds),
            "snr_db": list(options.snr_db),
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
        options = self.options
        how = (self.sources, options.events, options.snr_db, options.duration_s)
        n_seeds, n_samples = len(options.seeds), round(options.duration_s * _HIGHEST_RATE)
        are_small = 4 * 3 * options.events * n_samples * n_seeds <= _KEPT_BYTES
        return lru_cache(n_seeds if are_small else 0)(partial(event_sounds, *how))

    def records(self, named: NamedEncoder) -> Iterator[ScoreRecord]:
        """The record of all seeds; then the picture, in the folder `exhibits` beside it."""
        start, projection = time.monotonic(), None
        options, encoder, task = self.options, named.encoder, self.sources.name
        where = (options.batch_size, options.device)
        # By metric, x and seed.
        values: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
        with progress(total=self.n_clips, title=task, unit="clips", leave=False) as bar:
            embed = counted(encoder.scene, bar.update)
            for seed in options.seeds:
                sounds = self.sounds(seed, encoder.sample_rate)
                for snr_db, embedded in embed_over_snr(embed, sounds, options.snr_db, *where):
                    for metric, value in additivity(*embedded).items():
                        values[metric][f"{snr_db:g}"][f"seed {seed}"] = value
                    if projection is None and snr_db == self.main_snr_db:
                        projection = project(embedded, sounds.labels)
                if options.polyphony_clips:
                    pool = self._pool(seed, encoder.sample_rate)
                    found = polyphony_curve(embed, pool, options.polyphony_clips, seed, *where)
                    for n_sources, share in found.items():
                        values["polyphony"][f"{n_sources}"][f"seed {seed}"] = share
        scores = {metric: values[metric][f"{self.main_snr_db:g}"] for metric in METRICS}
        curves = {metric: self._curve(metric, by_x) for metric, by_x in values.items()}
        about = (self.settings(), time.monotonic() - start)
        yield score_record("additivity", task, named, scores, *about, curves=curves)
        if projection is not None:
            how = f"seed {options.seeds[0]}, at {self.main_snr_db:g} dB"
            write_projection(options.out / "exhibits", named, task, projection, how)

    def plan(self, named: NamedEncoder) -> Iterator[str]:
        """What `records` would do, in words."""
        options, snrs_db = self.options, self.options.snr_db
        polyphony = ""
        if options.polyphony_clips:
            polyphony = (
                f"; {options.polyphony_clips} mixtures of 1 to {self.max_sources} sources to train "
                "a probe on, and as many to test it"
            )
        yield (
            f"{named.name} on {self.sources.name}: {options.events} events, each for "
            f"{len(options.seeds)} seeds, at {', '.join(f'{s:g}' for s in snrs_db)} dB"
            f"{polyphony}: {self.n_clips} clips of {options.duration_s:g} s"
        )

    def _curve(self, metric: str, values: dict[str, dict[str, float]]) -> Curve:
        """A figure by x and seed, with chance; that of cosines depends on the encoder."""
        if metric == "polyphony":
            return Curve("sources", values, {x: int(x) / self.n_labels for x in values})
        if metric not in RECALLS:
            return Curve("SNR (dB)", values)
        chance = min(RECALLS[metric] / self.options.events, 1.0)
        return Curve("SNR (dB)", values, dict.fromkeys(values, chance))

    def _pool(self, seed: int, sample_rate: int) -> SourcePool:
        n_samples = round(self.options.duration_s * sample_rate)
        if self.sources.events is None:
            return procedural_pool(seed, sample_rate, n_samples)
        return file_pool(self.sources.events, seed, sample_rate, n_samples)


def additivity_job(options: AdditivityOptions) -> Job:
    """Additivity and polyphony on procedural sounds, or on those of one or two folders.

    Or additivity alone, on ready-made quadruples.

    Raises:
        ValueError: If there are too few events, labels or polyphonic mixtures, sounds are too
            short, a seed occurs twice, or options do not go together; else as `open_sources` or
            `open_quadruples`.
    """
    if options.quadruples is not None:
        return _of_made_quadruples(options, options.quadruples)
    if options.limit is not None:
        raise ValueError("--limit is of --quadruples: give --events, how many there are to be")
    if len(set(options.seeds)) < len(options.seeds):
        raise ValueError(f"a seed occurs twice in {' '.join(map(str, options.seeds))}")
    if options.duration_s < SHORTEST_EVENT_S:
        raise ValueError(f"--duration-s {options.duration_s:g}: at least 0.05 s")
    if options.events < 2:
        raise ValueError("additivity is measured over at least two events: use --events 2")
    folders = (options.event_folder, options.background_folder)
    sources = open_sources(*folders, options.duration_s)
    if sources.events is not None:
        choose_events(sources.events, options.events, options.seeds[0])  # refuses too few
    run = AdditivityRun(replace(options, snr_db=sorted(set(options.snr_db))), sources)
    if 0 < options.polyphony_clips < run.max_sources:
        raise ValueError(
            f"--polyphony-clips {options.polyphony_clips}: with mixtures of 1 to "
            f"{run.max_sources} sources, so many are the least, or 0 for none"
        )
    return Job("additivity", sources.name, run.settings(), run.records, run.plan)


def _of_made_quadruples(options: AdditivityOptions, folder: Path) -> Job:
    """Additivity of what is in a folder, or of tone scenes: as many, and as long, as events are."""
    if options.event_folder or options.background_folder:
        raise ValueError(
            "--quadruples has events and backgrounds of its own: give no folder of any"
        )
    if str(folder) == PROCEDURAL:
        source = ToneQuadruples(options.events, options.duration_s, options.seeds[0])
    else:
        source = open_quadruples(folder)
    return quadruple_job(source, options.limit or len(source), options)
