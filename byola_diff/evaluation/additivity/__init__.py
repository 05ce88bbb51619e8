"""Additivity: whether an event moves an embedding alike, whatever the background.

Public: `run.additivity_job`, `measures.embed_over_snr`, `measures.additivity`.
"""
