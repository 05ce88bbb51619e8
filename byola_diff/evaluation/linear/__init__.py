"""Linear evaluation: probes on embeddings, layers, fused layers and ensembles of any task.

Public: `run.linear_jobs`, `run.write_embeddings`, and the plans in `steps`.
"""
