"""What the evaluation of a HEAR task comes to."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from byola_diff.evaluation.hear.events import PostProcessing
from byola_diff.evaluation.hear.grid import GridPoint


@dataclass(frozen=True)
class FoldResult:
    """One probe, tested once."""

    scores: Mapping[str, float]
    """Scores of the test split by metric, the primary one first."""
    valid_score: float
    """What the probe was selected by; larger is better."""
    best_epoch: int
    processing: PostProcessing | None
    """For events, as chosen on the validation split."""
    predictions: Mapping[str, Any]
    """Probabilities of all labels, or events, by file of the test split."""


@dataclass(frozen=True)
class HearResult:
    """Test scores of one encoder."""

    task: str
    encoder: str
    primary: str
    """The metric the task is known by."""
    selected_by: str
    """That metric, or "loss"."""
    chosen: GridPoint
    searched: tuple[tuple[GridPoint, float], ...]
    """Validation score of each hyper-parameter combination that was tried, in this order."""
    folds: Mapping[str, FoldResult]
    """Results by test split."""
    audio_rate: int
    """Hz; of the files that were read."""
    resampler: str | None
    """What changed the rate to that of the encoder; None if nothing had to."""
    conditions: Mapping[str, Any]
    """Plain values: name and size of the grid; seed and order of the probes; and in which precision
    and on what kind of device embeddings were computed."""

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """Test values by metric, then by test split: as `score_record` takes them."""
        metrics = next(iter(self.folds.values())).scores
        return {
            metric: {test: fold.scores[metric] for test, fold in self.folds.items()}
            for metric in metrics
        }

    def settings(self) -> dict[str, Any]:
        """Plain values that were given: how the scores came about."""
        return {
            "primary": self.primary,
            "selected_by": self.selected_by,
            "audio_rate": self.audio_rate,
            "resampler": self.resampler,
            **self.conditions,
        }

    def choices(self) -> dict[str, Any]:
        """Plain values that were chosen on validation splits."""
        return {
            "chosen": self.chosen.settings(),
            "searched": [[point.settings(), score] for point, score in self.searched],
            "folds": {
                test: {
                    "valid_score": fold.valid_score,
                    "best_epoch": fold.best_epoch,
                    "processing": asdict(fold.processing) if fold.processing else None,
                }
                for test, fold in self.folds.items()
            },
        }
