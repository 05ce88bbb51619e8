"""The HEAR benchmark: its tasks, its grid of probes and its scores."""

from byola_diff.evaluation.hear.archive import unpack_task
from byola_diff.evaluation.hear.event_metrics import detection_scores, segment_error_rate
from byola_diff.evaluation.hear.events import LabelledEvent, PostProcessing, find_events
from byola_diff.evaluation.hear.grid import GridPoint, hyperparameter_grid
from byola_diff.evaluation.hear.result import FoldResult, HearResult
from byola_diff.evaluation.hear.run import run_hear_task
from byola_diff.evaluation.hear.task_folder import HearTask, read_hear_task
from byola_diff.evaluation.hear.task_metadata import HearTaskError, TaskMetadata

__all__ = [
    "FoldResult",
    "GridPoint",
    "HearResult",
    "HearTask",
    "HearTaskError",
    "LabelledEvent",
    "PostProcessing",
    "TaskMetadata",
    "detection_scores",
    "find_events",
    "hyperparameter_grid",
    "read_hear_task",
    "run_hear_task",
    "segment_error_rate",
    "unpack_task",
]
