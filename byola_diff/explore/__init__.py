"""A page to explore one's own sounds: a map by similarity, and search by example.

Public: `run.explore`.
"""
