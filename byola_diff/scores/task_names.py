"""Titles, order and groups of tasks and metrics in tables and figures, as the papers have them."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

LOWER_IS_BETTER = ("segment_1s_er",)
"""Metrics that are errors."""

_OTHER = "other tasks"
GROUPS = ("environmental sounds", "speech", "music", _OTHER)


@cache
def _names() -> dict[str, Any]:
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def protocol_title(protocol: str) -> str:
    """Name of a protocol, and what it asks of an encoder."""
    meaning = _names()["protocols"].get(protocol)
    return f"Protocol {protocol}" + (f": {meaning}" if meaning else "")


def task_title(task: str) -> str:
    """The name of a task in a table; its own if the papers have none."""
    return _names()["tasks"].get(task, (task, _OTHER))[0]


def task_order(task: str) -> tuple[int, str]:
    """Sorting key: the papers' order, then the rest by name."""
    tasks = list(_names()["tasks"])
    return tasks.index(task) if task in tasks else len(tasks), task


def task_group(task: str) -> str:
    """One of `GROUPS`."""
    return _names()["tasks"].get(task, (task, _OTHER))[1]


def metric_name(metric: str) -> str:
    """One name for what several tools call differently."""
    return _names()["same_metric"].get(metric, metric)


def metric_title(metric: str) -> str:
    """The name of a metric in a table."""
    return _names()["metric_titles"].get(metric, metric)


def is_share(metric: str) -> bool:
    """Whether the metric is a share in 0..1, to be shown in percent."""
    return metric not in _names()["not_shares"]


def lower_is_better(metric: str) -> bool:
    """Whether the metric is an error."""
    return metric in LOWER_IS_BETTER
