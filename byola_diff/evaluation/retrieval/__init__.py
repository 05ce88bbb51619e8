"""Retrieval by a recording and a text that tells the difference, and search by it."""
