"""The HEAR benchmark: its tasks, its grid of probes and its scores.

Public: `run.hear_jobs`, `run.run_hear_task`, `task_folder.read_hear_task`, `archive.unpack_task`.
"""
