"""Additivity on quadruples that come made, such as A-COAT-2k: from a folder to a score record.

The figures are those of `measures.py`. A-COAT is described as a test of how consistent additive
transformations are; what we have read of it states no formula, so none of ours claims to be its
own. The nearest is `raw_cosine`, that of f(B) - f(A) and f(D) - f(C).
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.audio.resample import resample
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.made_quadruples import Quadruple, QuadrupleSource
from byola_diff.evaluation.additivity.measures import (
    METRICS,
    Embed,
    Quadruples,
    additivity,
    counted,
    embed_all,
)
from byola_diff.evaluation.additivity.projection import project, write_projection
from byola_diff.evaluation.jobs import Job
from byola_diff.evaluation.options import ScoreOptions
from byola_diff.progress import progress
from byola_diff.scores import ScoreRecord, score_record


@dataclass(frozen=True)
class QuadrupleRun:
    """How encoders are measured on the first quadruples of a source, whatever encoder."""

    source: QuadrupleSource
    n_quadruples: int
    options: ScoreOptions

    def settings(self) -> dict[str, Any]:
        """What a record says of how it came about."""
        n_known = len(self.source)
        of_all = self.n_quadruples == n_known
        return {
            "n_events": self.n_quadruples,
            **self.source.settings(),
            "deviations": [] if of_all else [f"{self.n_quadruples} of {n_known} quadruples"],
        }

    def records(self, named: NamedEncoder) -> Iterator[ScoreRecord]:
        """The record; then the picture, in the folder `exhibits` beside it."""
        start, options, encoder = time.monotonic(), self.options, named.encoder
        how = (encoder.sample_rate, options.batch_size, options.device)
        quadruples, name = self.source.read(self.n_quadruples), self.source.name
        n_clips = 4 * self.n_quadruples
        with progress(total=n_clips, title=name, unit="clips", leave=False) as bar:
            embedded, labels = embed_quadruples(
                counted(encoder.scene, bar.update), quadruples, *how
            )
        figures = additivity(*embedded)
        scores = {metric: {"all": figures[metric]} for metric in METRICS}
        about = (self.settings(), time.monotonic() - start)
        yield score_record("additivity", name, named, scores, *about)
        drawn = project(embedded, labels)
        write_projection(options.out / "exhibits", named, name, drawn)

    def plan(self, named: NamedEncoder) -> Iterator[str]:
        """What `records` would do, in words."""
        yield (
            f"{named.name} on {self.source.name}: {self.n_quadruples} of {len(self.source)} "
            f"quadruples, {4 * self.n_quadruples} clips"
        )


def quadruple_job(source: QuadrupleSource, n_quadruples: int, options: ScoreOptions) -> Job:
    """Additivity on the first quadruples of a source; a ValueError if there are fewer than two."""
    n_used = min(n_quadruples, len(source))
    if n_used < 2:
        raise ValueError(f"{source.name}: additivity is measured over at least two quadruples")
    run = QuadrupleRun(source, n_used, options)
    return Job("additivity", source.name, run.settings(), run.records, run.plan)


def embed_quadruples(
    embed: Embed,
    quadruples: Iterator[Quadruple],
    sample_rate: int,
    batch_size: int,
    device: torch.device | str,
) -> tuple[Quadruples, list[str]]:
    """Embeddings of all A, B, C and D, and the labels; waveforms are read a batch at a time.

    Raises:
        ValueError: If clips are of several lengths.
    """
    parts: list[list[Tensor]] = [[], [], [], []]
    labels: list[str] = []
    lengths: set[int] = set()
    while block := list(islice(quadruples, batch_size)):
        labels += [one.label for one in block]
        for side, part in enumerate(parts):
            waveforms = [_at_rate(one, side, sample_rate) for one in block]
            lengths |= {len(waveform) for waveform in waveforms}
            if len(lengths) > 1:
                raise ValueError(f"clips are of several lengths: {sorted(lengths)} samples")
            part.append(embed_all(embed, _stacked(waveforms), batch_size, device))
    first, with_first, second, with_second = (torch.cat(part) for part in parts)
    return (first, with_first, second, with_second), labels


def _at_rate(one: Quadruple, side: int, sample_rate: int) -> np.ndarray:
    return resample(one.waveforms[side], one.sample_rate, sample_rate)


def _stacked(waveforms: Sequence[np.ndarray]) -> Float[Tensor, "clip sample"]:
    return torch.from_numpy(np.stack(waveforms))
