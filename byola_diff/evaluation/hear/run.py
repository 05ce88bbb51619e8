"""The HEAR protocol: an MLP on frozen embeddings, its hyper-parameters chosen on validation data.

The grid is searched on the first fold; the winner is trained again for every other fold. The labels
of a test split are asked for when the probe that is tested on it has been chosen, and not before.

Embeddings are not standardised, as in HEAR's kit. Nor are clips shuffled anew in each epoch, unless
it is asked for: the kit means to, but compares a list with a word.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from byola_diff.audio.resample import resampler_name
from byola_diff.embeddings.extract import ExtractionOptions
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.hear.grid import GridName, GridPoint, hyperparameter_grid
from byola_diff.evaluation.hear.probes import SEED, FoldResult, embed_task
from byola_diff.evaluation.hear.task_folder import HearTask


@dataclass(frozen=True)
class HearResult:
    """Test scores of one encoder on one task."""

    folds: Mapping[str, FoldResult]
    """Results by test split."""
    chosen: GridPoint
    searched: tuple[tuple[GridPoint, float], ...]
    """Validation score of each hyper-parameter combination that was tried, in this order."""
    settings: Mapping[str, Any]
    """Plain values: how the scores came about."""

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """Test values by metric, then by test split: as `score_record` takes them."""
        metrics = next(iter(self.folds.values())).scores
        return {
            metric: {test: fold.scores[metric] for test, fold in self.folds.items()}
            for metric in metrics
        }

    def choices(self) -> dict[str, Any]:
        """Plain values that were chosen on validation splits."""
        return {
            "chosen": asdict(self.chosen),
            "searched": [[asdict(point), score] for point, score in self.searched],
            "folds": {
                test: {
                    "valid_score": fold.valid_score,
                    "best_epoch": fold.best_epoch,
                    "processing": fold.processing and asdict(fold.processing),
                }
                for test, fold in self.folds.items()
            },
        }


def run_hear_task(
    task: HearTask,
    named: NamedEncoder,
    extraction: ExtractionOptions,
    *,
    grid: GridName = "default",
    n_points: int = 8,
    shuffle: bool = False,
) -> HearResult:
    """Test scores of an encoder on a task, by all metrics of the task.

    Args:
        task: All of its splits are embedded, whole clips.
        named: The encoder, which is already on the device of `extraction`.
        extraction: How clips are embedded. Probes are trained on the same device.
        grid: Hyper-parameters to choose from.
        n_points: How many combinations of them to try.
        shuffle: Whether each epoch has an order of its own; the kit keeps one order throughout.

    Raises:
        ValueError: If an embedding is NaN, or no probe could be scored on the validation split.
    """
    metadata, rate = task.metadata, task.rate_for(named.encoder.sample_rate)
    points = hyperparameter_grid(grid, metadata.task_name, metadata.grid_overrides, n_points)
    probes = embed_task(task, named, extraction, shuffle)
    first, *others = task.folds()
    tried = probes.train(first, points)
    # Of equally good ones the first tried wins, as in the kit.
    best = max(points, key=lambda point: tried[point].best_score)
    trained = {first: tried[best]}
    trained |= {fold: probes.train(fold, [best])[best] for fold in others}
    return HearResult(
        folds={fold.test: probes.test(fold, probe) for fold, probe in trained.items()},
        chosen=best,
        searched=tuple((point, tried[point].best_score) for point in points),
        settings={
            "primary": metadata.metrics[0],
            "selected_by": metadata.metrics[0] if metadata.selects_by_score else "loss",
            "audio_rate": rate,
            "resampler": None if rate == named.encoder.sample_rate else resampler_name(),
            "seed": SEED,
            "precision": extraction.resolved_precision,
            "device": extraction.device_type,
        },
    )
