"""Background-known ESC-50: from a data set to score records, and an exhibit of its sounds."""

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.bgknown.data import (
    VARIANTS,
    BgKnown,
    difference_embeddings,
    read_bgknown,
)
from byola_diff.evaluation.bgknown.options import USUAL_BGKNOWN, BgKnownOptions
from byola_diff.evaluation.bgknown.report_extra import bgknown_extra
from byola_diff.evaluation.jobs import Job
from byola_diff.evaluation.options import deviations
from byola_diff.evaluation.whole_clips import WHOLE, count_embedded, embed_whole
from byola_diff.models.precision import resolved_precision
from byola_diff.probing.parts import manifest_targets, probe_parts
from byola_diff.probing.protocols import BGKNOWN, LinearProtocol
from byola_diff.probing.task import probe_task
from byola_diff.reports.extras import EXTRA_SUFFIX, write_extra
from byola_diff.scores import ScoreRecord, score_record
from byola_diff.tables.manifest import Manifest


def bgknown_job(folder: Path, options: BgKnownOptions) -> Job:
    """Mix, (a), (b) and (c) of a data set; it is checked before anything is embedded.

    Encoders that take statistics from a task take those of the training mixtures, and embed the
    references by them too: a difference needs one scale.

    Raises:
        FileNotFoundError: If it is no such data set.
        ValueError: If it was altered, or can't be probed, or a seed occurs twice.
    """
    data = read_bgknown(folder)
    rates, seeds = tuple(options.learning_rates), tuple(options.seeds)
    if len(set(rates)) < len(rates) or len(set(seeds)) < len(seeds):
        raise ValueError("a learning rate or seed is given twice")
    run = BgKnownRun(data, replace(BGKNOWN, learning_rates=rates, seeds=seeds), options)
    try:
        probe_parts(data.mixtures)
        manifest_targets(data.mixtures, "accuracy")
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    return Job(
        protocol=BGKNOWN.name,
        task=BGKNOWN.name,
        settings=run.settings(),
        records=run.records,
        plan=run.plan,
        manifest=data.mixtures,
        preprocessing=WHOLE,
    )


@dataclass(frozen=True)
class BgKnownRun:
    """How encoders are evaluated on a data set, whatever the encoder."""

    data: BgKnown
    protocol: LinearProtocol
    options: BgKnownOptions

    def settings(self) -> dict[str, Any]:
        """What a record says of how it came about."""
        return {
            **asdict(self.protocol),
            "n_items": len(self.data.mixtures.clips),
            "data": dict(self.data.settings),
            "manifests": dict(self.data.hashes),
            "deviations": [*self.data.deviations, *deviations(self.options, USUAL_BGKNOWN)],
            "precision": resolved_precision(self.options.precision, self.options.device),
            "device": torch.device(self.options.device).type,
        }

    def records(self, named: NamedEncoder) -> Iterator[ScoreRecord]:
        """The record; then the exhibit of the data set, unless it is there."""
        start = time.monotonic()
        mixtures = self.data.mixtures
        scores, learning_rates = {}, {}
        for variant, difference in difference_embeddings(self._embeddings(named)).items():
            result = probe_task(
                difference,
                manifest_targets(mixtures, "accuracy"),
                probe_parts(mixtures),
                len(mixtures.classes),
                "accuracy",
                self.protocol,
                device=self.options.device,
            )
            scores[variant] = result.per_seed()
            [learning_rates[variant]] = result.learning_rates.values()
        wall_s = time.monotonic() - start
        yield score_record(
            protocol=self.protocol.name,
            task=self.protocol.name,
            encoder=named,
            scores=scores,
            settings=self.settings(),
            wall_s=wall_s,
            probe={"learning_rates": learning_rates},
        )
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
        """All clips; their files are hashed once, whatever the number of encoders.

        Mixtures and references are of one length and embedded whole: a crop of one is none of the
        other.
        """
        self.data.check_audio()
        return self.data.clips

    def _embeddings(self, named: NamedEncoder) -> dict[str, Float[np.ndarray, "item dim"]]:
        """Embeddings by variant."""
        embeddings = embed_whole(named, self._unaltered_clips, self.options).numpy()
        return dict(zip(VARIANTS, np.split(embeddings, len(VARIANTS)), strict=True))

    def _exhibit(self) -> None:
        """Show two items of the data set, once; scores stand without it."""
        folder = self.options.out / "exhibits"
        name = f"{self.protocol.name}_{self.data.hashes['mix.csv'][:8]}"
        if (folder / f"{name}{EXTRA_SUFFIX}").exists():
            return
        try:
            write_extra(folder, name, bgknown_extra(self.data))
        except ModuleNotFoundError as error:
            print(f"no exhibit of {self.data.root}: {error}", file=sys.stderr)
