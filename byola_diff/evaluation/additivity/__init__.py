"""Additivity: whether an event moves an embedding alike, whatever the background.

Public: `run.additivity_job`, `embedded.additivity_of`, `measures.additivity`.
"""
