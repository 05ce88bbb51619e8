"""Small pages for tests."""

import numpy as np

from byola_diff.explore.page import Page
from byola_diff.explore.texts import TextSpace
from byola_diff.tables.manifest import Clip


def small_page(files=("dogs/a.wav", "dogs/b.wav", "c.wav"), labels=("dog", "dog", ""), **changes):
    """Clips along a line, each with vectors of its own."""
    clips = [
        Clip(file, (label,) if label else ()) for file, label in zip(files, labels, strict=True)
    ]
    n_clips = len(clips)
    vectors = np.random.default_rng(0).integers(-9999, 9999, (n_clips, 4)).astype(np.int16)
    positions = np.linspace(0, 65535, 2 * n_clips).reshape(n_clips, 2).astype(np.uint16)
    content = {
        "title": "Sounds of here",
        "lead": "Three sounds.",
        "notes": ["How it was made."],
        "clips": clips,
        "durations_s": [1.25] * n_clips,
        "vectors": vectors,
        "positions": positions,
        "texts": None,
        "pictures": [],
        "sounds": [],
        "links": [f"./{number}.wav" for number in range(n_clips)],
    }
    return Page(**content | changes)


def texts_of(page):
    """Two texts, of which the second leads to the first clip."""
    latents = np.array([[0, 0, 0, 1], page.vectors[0].tolist()], np.int16)
    return TextSpace(("add rain", "remove <b>dogs</b>"), page.vectors, latents)
