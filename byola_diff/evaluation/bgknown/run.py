"""Background-known ESC-50: from a data set to score records, and an exhibit of its sounds."""

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import torch

from byola_diff.audio.files import AudioFileError
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.bgknown.data import (
    MIXTURE,
    VARIANTS,
    BgKnown,
    difference_embeddings,
    item_name,
    read_bgknown,
)
from byola_diff.evaluation.jobs import Job, count_embedded, embed_whole
from byola_diff.evaluation.options import EmbeddingOptions, Folder, Rate, ScoreOptions, deviations
from byola_diff.models.precision import resolved_precision
from byola_diff.option_fields import RARE
from byola_diff.probing.parts import probe_parts
from byola_diff.probing.protocols import BGKNOWN, LinearProtocol
from byola_diff.probing.task import probe_task
from byola_diff.reports.extras import EXTRA_SUFFIX, ReportExtra, write_extra
from byola_diff.reports.players import HeardClip, heard_clips
from byola_diff.reports.report import MISSING, Part, Table, Text
from byola_diff.scores import ScoreRecord, score_record
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.rows import located

_SAMPLE_RATE = 16_000
"""At which clips are shown, in Hz: enough to tell events by, and pages stay small."""
_TITLES = {
    MIXTURE: "mixture",
    "a": "(a) 100 % overlap",
    "b": "(b) 50 % overlap",
    "c": "(c) 0 % overlap",
}
_FACTS = {"snr_db": "SNR (dB)", "background_label": "background", "start_s": "its start (s)"}
"""Columns of items.csv, as they are shown."""


@dataclass(frozen=True, kw_only=True)
class BgKnownOptions(ScoreOptions, EmbeddingOptions):
    """Options of the verb `bgknown`."""

    data: Folder
    """Data set, such as datasets/make_bgknown_esc50.py makes."""
    learning_rates: Annotated[list[Rate], RARE] = field(
        default_factory=lambda: list(BGKNOWN.learning_rates)
    )
    """Learning rates of the probe; of several the one of lowest validation loss is taken."""
    seeds: Annotated[list[Annotated[int, "N"]], RARE] = field(
        default_factory=lambda: list(BGKNOWN.seeds)
    )
    """Each gives a score."""


def bgknown_job(options: BgKnownOptions) -> Job:
    """Mix, (a), (b) and (c) of a data set; it is checked before anything is embedded.

    Encoders that take statistics from a task take those of the training mixtures, and embed the
    references by them too: a difference needs one scale.

    Raises:
        FileNotFoundError: If it is no such data set.
        ValueError: If it was altered, or can't be probed, or a seed occurs twice.
    """
    data = read_bgknown(options.data)
    rates, seeds = tuple(options.learning_rates), tuple(options.seeds)
    run = BgKnownRun(data, replace(BGKNOWN, learning_rates=rates, seeds=seeds), options)
    with located(f"{options.data}: "):
        probe_parts(data.mixtures, "accuracy")
    name = BGKNOWN.name
    return Job(name, name, run.settings(), run.records, run.plan, data.mixtures)


@dataclass(frozen=True)
class BgKnownRun:
    """How encoders are evaluated on a data set, whatever the encoder."""

    data: BgKnown
    protocol: LinearProtocol
    options: BgKnownOptions

    def settings(self) -> dict[str, Any]:
        """What a record says of how it came about."""
        own = deviations(self.options, "learning_rates", "seeds")
        return {
            **asdict(self.protocol),
            "n_items": len(self.data.mixtures.clips),
            "data": dict(self.data.settings),
            "manifests": dict(self.data.hashes),
            "deviations": [*self.data.deviations, *own],
            "precision": resolved_precision(self.options.precision, self.options.device),
            "device": torch.device(self.options.device).type,
        }

    def records(self, named: NamedEncoder) -> Iterator[ScoreRecord]:
        """The record; then the exhibit of the data set, unless it is there."""
        start, options = time.monotonic(), self.options
        scores, learning_rates = {}, {}
        embeddings = embed_whole(named, self._unaltered_clips, options).numpy()
        of_variant = zip(VARIANTS, np.split(embeddings, len(VARIANTS)), strict=True)
        how = ("accuracy", self.protocol, options.device)
        for variant, difference in difference_embeddings(dict(of_variant)).items():
            result = probe_task(difference, self.data.mixtures, *how)
            scores[variant] = {seed: values["test"] for seed, values in result.scores.items()}
            learning_rates[variant] = result.learning_rates["test"]
        about = (self.settings(), time.monotonic() - start)
        probe = {"learning_rates": learning_rates}
        yield score_record(BGKNOWN.name, BGKNOWN.name, named, scores, *about, probe=probe)
        self._exhibit()

    def plan(self, named: NamedEncoder) -> Iterator[str]:
        """What `records` would do, in words; nothing is embedded."""
        clips, protocol = self.data.clips, self.protocol
        n_probes = len(VARIANTS) * len(protocol.seeds) * len(protocol.learning_rates)
        yield (
            f"{named.name} ({named.encoder.sample_rate} Hz, "
            f"{named.encoder.scene_embedding_size}-dimensional, {named.content_hash[:8]}) on "
            f"{self.data.root}: {len(self.data.mixtures.clips)} mixtures with three references "
            f"each, {len(clips.clips)} clips, {count_embedded(named, clips, self.options)} of them "
            f"cached; {n_probes} probes"
        )

    @cached_property
    def _unaltered_clips(self) -> Manifest:
        """All clips; their files are hashed once, whatever the number of encoders."""
        self.data.check_audio()
        return self.data.clips

    def _exhibit(self) -> None:
        """Show two items of the data set, once; scores stand without it."""
        folder = self.options.out / "exhibits"
        name = f"{self.protocol.name}_{self.data.hashes['mix.csv'][:8]}"
        if (folder / f"{name}{EXTRA_SUFFIX}").exists():
            return
        try:
            write_extra(folder, name, bgknown_extra(self.data))
        except (ModuleNotFoundError, AudioFileError) as error:
            print(f"no exhibit of {self.data.root}: {error}", file=sys.stderr)


def bgknown_extra(data: BgKnown) -> ReportExtra:
    """Facts, spectrograms and players of two test items, of different classes where there are.

    Raises as `heard_clips`.
    """
    clips = data.mixtures.clips
    tested = [place for place, clip in enumerate(clips) if clip.split == "test"]
    others = [place for place in tested if clips[place].labels != clips[tested[0]].labels]
    lead = "the mixture, and references that overlap its background by 100, 50 and 0 %."
    rows: list[list[str]] = []
    parts: list[Part] = []
    for place in [tested[0], *others[:1]]:
        name, label = item_name(clips[place]), clips[place].labels[0]
        rows.append([name, label, *(_cell(data.items[name].get(column)) for column in _FACTS)])
        heard = []
        for variant, manifest in data.manifests.items():
            path = manifest.path(manifest.clips[place])
            heard.append(HeardClip(path, f"{label}, {_TITLES[variant]}\n{path.name}"))
        parts += [Text(f"Item {name}, {label}: {lead}"), *heard_clips(heard, _SAMPLE_RATE)]
    note = "The spectrograms of an item share one range of colours."
    header, words = ("item", "event", *_FACTS.values()), frozenset({1, 3})
    facts = Table(header, rows, note=note, text_columns=words)
    return ReportExtra("Background-known ESC-50", "Mixture and references", (facts, *parts))


def _cell(value: str | None) -> str:
    if not value:
        return MISSING
    try:
        return f"{float(value):.2f}"
    except ValueError:
        return value
