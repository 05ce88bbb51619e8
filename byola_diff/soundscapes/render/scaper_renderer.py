"""Rendering by Scaper. The only file that imports it.

    Salamon et al., 2017, "Scaper: a library for soundscape synthesis and augmentation".

The drawing of events from distributions, which Scaper is known for, is not used: a plan has none.
"""

import dataclasses
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scaper
from jaxtyping import Float
from scaper.scaper_warnings import ScaperWarning

from byola_diff.soundscapes.render.jams_document import to_jams
from byola_diff.soundscapes.render.mixer import cut, place
from byola_diff.soundscapes.render.plan import Rendered, RenderError, Roots, Soundscape, checked

NEEDS_EXTRA = "generate"
"""The extra whose packages this file imports when it is loaded."""

RENDERER_NAME = f"scaper {scaper.__version__}"

# Scaper lists the labels in its folders, for nothing here; a folder of FSD50K has 40 000 files.
_SMALL_FOLDER = Path(__file__).parent

if not hasattr(np, "Inf"):
    # Scaper 1.6.5 was written for numpy 1, and draws events with a name that numpy 2 dropped.
    np.Inf = np.inf  # noqa: NPY201 # pyright: ignore


def render(plan: Soundscape, roots: Roots) -> Rendered:
    """The soundscape of a plan, with the stems of its events; errors are those of `mix`."""
    unscaled = [place(plan, event, cut(plan, event, roots)) for event in plan.events]
    with _quiet():
        try:
            # It makes a new Scaper object each time.
            mixture, _, _, parts = scaper.generate_from_jams(io.StringIO(_document(plan, roots)))
        except Exception as error:
            reason = f"not rendered by Scaper: {type(error).__name__}: {error}"
            raise RenderError(plan, reason) from error
    assert mixture is not None
    # Read from a JAMS file, events are sorted by their beginning.
    order = sorted(range(len(plan.events)), key=lambda n: plan.events[n].event_time_s)
    stems = tuple(parts[order.index(n)][:, 0] for n in range(len(order)))
    if any(len(stem) != plan.n_samples for stem in stems):
        raise RenderError(plan, "Scaper left a background too short: its source is")
    gains_db = tuple(_gain_db(*pair) for pair in zip(unscaled, stems, strict=True))
    return checked(plan, Rendered(mixture[:, 0], stems, gains_db))


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what Scaper and its libraries say of every soundscape, and nothing else."""
    root, sox = logging.getLogger(), logging.getLogger("sox")
    root_level, sox_level = root.level, sox.level
    sox.setLevel(logging.CRITICAL)  # conversions "may be ignored", but are not
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScaperWarning)  # of clipping, which we check
            warnings.filterwarnings("ignore", "Passing a schema to", DeprecationWarning)  # jams
            yield
    finally:
        sox.setLevel(sox_level)
        root.setLevel(root_level)  # after an error, Scaper leaves it changed


def _document(plan: Soundscape, roots: Roots) -> str:
    """JAMS file with the full paths of the sources."""
    if int(plan.fade_s * plan.sample_rate) == 0:
        plan = dataclasses.replace(plan, fade_s=0.0)  # Scaper can't fade over no sample
    document = json.loads(to_jams(plan, {}))
    (annotation,) = document["annotations"]
    for event, observation in zip(plan.events, annotation["data"], strict=True):
        path = (roots[event.role] / event.source).absolute()
        observation["value"]["source_file"] = str(path)
    annotation["sandbox"]["scaper"] |= dict.fromkeys(["fg_path", "bg_path"], str(_SMALL_FOLDER))
    return json.dumps(document)


def _gain_db(unscaled: Float[np.ndarray, " sample"], stem: Float[np.ndarray, " sample"]) -> float:
    """Gain that takes one to the other, by least squares: Scaper does not say it."""
    # Not a dot product, whose last bit depends on the number of threads.
    return float(20 * np.log10((unscaled * stem).sum() / np.square(unscaled).sum()))
