"""Everything that additivity measures of one encoder: curves over ratios and over sources."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from byola_diff.encoders.contract import Encoder
from byola_diff.evaluation.additivity.embedded import embed_over_snr
from byola_diff.evaluation.additivity.measures import additivity
from byola_diff.evaluation.additivity.mixing import EventSounds
from byola_diff.evaluation.additivity.polyphony import SourcePool
from byola_diff.evaluation.additivity.polyphony_probe import polyphony_curve
from byola_diff.evaluation.additivity.projection import Projection, project
from byola_diff.scores import Curve

# By metric, the main one first: its name in `Additivity`, and how many of N events chance finds.
# The cosine by chance depends on the encoder.
_METRICS = {
    "cosine": ("cosine", None),
    "raw_cosine": ("raw_cosine", None),
    "recall@1": ("recall_at_1", 1),
    "recall@5": ("recall_at_5", 5),
}


@dataclass
class AdditivityCurves:
    """Values as they come in, seed by seed."""

    encoder: Encoder
    batch_size: int
    device: torch.device | str
    values: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """By metric, x and seed."""
    n_events: int = 0
    n_labels: int = 0
    projection: Projection | None = None
    """Of the first seed, at the main ratio."""

    def measure(
        self, sounds: EventSounds, snrs_db: Sequence[float], main_snr_db: float, seed: int
    ) -> None:
        """Add cosines and recalls of a seed at all ratios."""
        self.n_events = len(sounds.labels)
        embed = self.encoder.scene
        for snr_db, embedded in embed_over_snr(
            embed, sounds, snrs_db, self.batch_size, self.device
        ):
            score = additivity(*embedded)
            for metric, (attribute, _) in _METRICS.items():
                self._add(metric, snr_db, seed, getattr(score, attribute))
            if self.projection is None and snr_db == main_snr_db:
                self.projection = project(embedded, sounds.labels)

    def measure_polyphony(self, pool: SourcePool, n_clips: int, seed: int) -> None:
        """Add the polyphony curve of a seed."""
        self.n_labels = len(pool.labels)
        embed = self.encoder.scene
        found = polyphony_curve(embed, pool, n_clips, seed, self.batch_size, self.device)
        for n_sources, share in found.items():
            self._add("polyphony", float(n_sources), seed, share)

    def scores(self, snr_db: float) -> dict[str, dict[str, float]]:
        """Cosines and recalls at a ratio, by metric and seed."""
        return {metric: self.values[metric][_text(snr_db)] for metric in _METRICS}

    def curves(self) -> dict[str, Curve]:
        """All that was measured, with chance."""
        curves = {}
        for metric, (_, n_found) in _METRICS.items():
            values, chance = self.values[metric], {}
            if n_found is not None:
                chance = dict.fromkeys(values, min(n_found / self.n_events, 1.0))
            curves[metric] = Curve("SNR (dB)", values, chance)
        if values := self.values.get("polyphony"):
            chance = {x: int(x) / self.n_labels for x in values}
            curves["polyphony"] = Curve("sources", values, chance)
        return curves

    def _add(self, metric: str, x: float, seed: int, value: float) -> None:
        self.values.setdefault(metric, {}).setdefault(_text(x), {})[f"seed {seed}"] = value


SoundsOf = Callable[[int, int], EventSounds]
"""By seed and sample rate."""


def _text(x: float) -> str:
    return f"{x:g}"
