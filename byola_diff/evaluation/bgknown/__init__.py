"""Background-known ESC-50: linear probes on the difference of a mixture to a known background.

Public: `run.bgknown_job`, `data.read_bgknown`, `data.difference_embeddings`.
"""
