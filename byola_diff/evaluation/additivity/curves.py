"""Everything that additivity measures of one encoder: curves over ratios and over sources."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from byola_diff.encoders.contract import Encoder
from byola_diff.evaluation.additivity.embedded import embed_over_snr
from byola_diff.evaluation.additivity.measures import METRICS, RECALLS, additivity
from byola_diff.evaluation.additivity.mixing import EventSounds
from byola_diff.evaluation.additivity.polyphony import SourcePool
from byola_diff.evaluation.additivity.polyphony_probe import polyphony_curve
from byola_diff.evaluation.additivity.projection import Projection, project
from byola_diff.scores import Curve


@dataclass
class AdditivityCurves:
    """Values as they come in, seed by seed."""

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
        return {metric: self.values[metric][_text(snr_db)] for metric in METRICS}

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
        self.values.setdefault(metric, {}).setdefault(_text(x), {})[f"seed {seed}"] = value


def _text(x: float) -> str:
    return f"{x:g}"
