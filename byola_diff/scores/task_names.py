"""Titles, order and groups of tasks and metrics in tables and figures, as the papers have them."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel

LOWER_IS_BETTER = ("segment_1s_er",)
"""Metrics that are errors."""

SOUNDS, SPEECH, MUSIC, OTHER = "environmental sounds", "speech", "music", "other tasks"
GROUPS = (SOUNDS, SPEECH, MUSIC, OTHER)


class _Task(NamedTuple):
    title: str
    group: str


class _Names(BaseModel):
    """What `task_names.yaml` holds."""

    tasks: dict[str, _Task]
    protocols: dict[str, str]
    same_metric: dict[str, str]
    metric_titles: dict[str, str]
    not_shares: frozenset[str]


@cache
def _names() -> _Names:
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return _Names.model_validate(yaml.safe_load(text))


def protocol_title(protocol: str) -> str:
    """Name of a protocol, and what it asks of an encoder."""
    meaning = _names().protocols.get(protocol)
    return f"Protocol {protocol}" + (f": {meaning}" if meaning else "")


def task_title(task: str) -> str:
    """The name of a task in a table; its own if the papers have none."""
    return _names().tasks.get(task, _Task(task, OTHER)).title


def task_order(task: str) -> tuple[int, str]:
    """Sorting key: the papers' order, then the rest by name."""
    tasks = list(_names().tasks)
    return tasks.index(task) if task in tasks else len(tasks), task


def task_group(task: str) -> str:
    """One of the groups above."""
    return _names().tasks.get(task, _Task(task, OTHER)).group


def metric_name(metric: str) -> str:
    """One name for what several tools call differently."""
    return _names().same_metric.get(metric, metric)


def metric_title(metric: str) -> str:
    """The name of a metric in a table."""
    return _names().metric_titles.get(metric, metric)


def is_share(metric: str) -> bool:
    """Whether the metric is a share in 0..1, to be shown in percent."""
    return metric not in _names().not_shares


def lower_is_better(metric: str) -> bool:
    """Whether the metric is an error."""
    return metric in LOWER_IS_BETTER
