"""Published data sets: from the layout of their files to clips with labels and splits.

Public: `registry.TASKS` with `prepare.prepare_task`, and `task.read_task`; the readers of the two
files of splits, and `layout` for more of them.
"""
