"""What can be read off frozen embeddings: probes, nearest neighbours, and their metrics.

Public: `task.probe_task` with `parts` and `protocols`, `trainer.train_probes`,
`logistic.probe_manifest`, `nearest.nearest_neighbour_accuracy`, and all of `metrics`.
"""
