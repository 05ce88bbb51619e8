"""Vectors of clips: what an encoder gives for a manifest (`extract.embed`), cached by content."""
