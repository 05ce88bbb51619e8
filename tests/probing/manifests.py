"""Manifests of clips that have labels and parts, but no files."""

from pathlib import Path

from byola_diff.tables.manifest import Clip, Manifest


def manifest_of(labels, **columns):
    """Clips with these labels, one or several each, and columns such as `split` or `fold`."""
    cells = zip(*columns.values(), strict=True)
    clips = tuple(
        Clip(
            f"{row}.wav",
            (label,) if isinstance(label, str) else label,
            **dict(zip(columns, values, strict=True)),
        )
        for row, (label, values) in enumerate(zip(labels, cells, strict=True))
    )
    classes = tuple(sorted({name for clip in clips for name in clip.labels}))
    return Manifest(Path(), clips, classes)
