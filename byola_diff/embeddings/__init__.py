"""Vectors of clips: what an encoder gives for a manifest, computed in batches and cached."""
