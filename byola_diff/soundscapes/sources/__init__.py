"""Recordings and procedural sounds that soundscapes are made of, and their preparation."""

from byola_diff.soundscapes.sources.library import Library, read_esc50, read_folder, read_fsd50k
from byola_diff.soundscapes.sources.preparation import SourceFile, prepare

__all__ = ["Library", "SourceFile", "prepare", "read_esc50", "read_folder", "read_fsd50k"]
