"""Published data sets: from the layout of their files to clips with labels and splits."""

from byola_diff.corpora.layout import LayoutError
from byola_diff.corpora.prepare import Choices, TaskDataError, prepare_task
from byola_diff.corpora.registry import TASKS, OwnSplit, TaskSpec
from byola_diff.corpora.task import Task, read_task

__all__ = [
    "TASKS",
    "Choices",
    "LayoutError",
    "OwnSplit",
    "Task",
    "TaskDataError",
    "TaskSpec",
    "prepare_task",
    "read_task",
]
