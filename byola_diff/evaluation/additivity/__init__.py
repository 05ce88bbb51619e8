"""Additivity: whether an event moves an embedding alike, whatever the background."""
