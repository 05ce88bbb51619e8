"""Background-known ESC-50: whether the difference to a known background tells what was added.

Public: `run.bgknown_job`, `data.read_bgknown`, `data.difference_embeddings`.
"""
