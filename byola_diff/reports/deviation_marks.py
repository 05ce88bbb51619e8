"""Scores on something else than a published task: a mark in the cell, and the reason below."""

from collections.abc import Iterable, Sequence

from byola_diff.scores.task_names import task_order, task_title

MARK = "\N{DAGGER}"
"""After a score on part of a task, or on a split that is not the published one."""


def deviation_note(measured: Iterable[tuple[str, str, Sequence[str]]]) -> str:
    """What the mark stands for, by task; empty if nothing is marked.

    Args:
        measured: Task, encoder and deviations of each score in the table. Encoders are named where
            not all were measured on the same clips.
    """
    tasks: dict[str, dict[tuple[str, ...], dict[str, None]]] = {}
    for task, encoder, deviations in measured:
        tasks.setdefault(task, {}).setdefault(tuple(deviations), {})[encoder] = None
    reasons = [
        _reason(task, deviations, encoders if len(tasks[task]) > 1 else ())
        for task in sorted(tasks, key=task_order)
        for deviations, encoders in tasks[task].items()
        if deviations
    ]
    return " ".join([f"{MARK}: not the task as published.", *reasons]) if reasons else ""


def _reason(task: str, deviations: Sequence[str], encoders: Iterable[str]) -> str:
    who = ", ".join(encoders)
    return f"{task_title(task)}{f' ({who})' if who else ''}: {'; '.join(deviations)}."
