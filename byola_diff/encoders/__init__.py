"""Frozen encoders of sound: opened by a word, combined, and told apart by a content hash."""
