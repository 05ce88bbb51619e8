"""A rendered soundscape, and what is checked before it is used."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from byola_diff.soundscapes.render.plan import Event, Soundscape

CLIPPING_REMEDY = "lower ref_db"
"""In every message about a sound that reaches full scale."""

_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Rendered:
    """A mixture and its parts, in float64."""

    mixture: Float[np.ndarray, " sample"]
    stems: tuple[Float[np.ndarray, " sample"], ...]
    """Each event of the plan as it is in the mixture, and as long; in the order of the plan."""
    gains_db: tuple[float, ...]
    """What each source was amplified by."""


class RenderError(ValueError):
    """A soundscape that can't be rendered as planned."""

    def __init__(self, plan: Soundscape, reason: str, event: Event | None = None) -> None:
        where = plan.name if event is None else f"{plan.name}: {event.source}"
        super().__init__(f"{where}: {reason}")
        self.plan, self.reason, self.event = plan, reason, event

    def __reduce__(self):
        """Arguments to make it again with: errors travel from one process to another."""
        return type(self), (self.plan, self.reason, self.event)


class ClippingError(RenderError):
    """A sound that reaches full scale, which a lower `ref_db` mends."""


def check_rendered(plan: Soundscape, rendered: Rendered) -> None:
    """Check lengths, that the stems sum to the mixture, and that nothing is clipped.

    Raises:
        RenderError: If a length is not that of the plan, a sample is NaN or infinite, the stems do
            not sum to the mixture, or a sample reaches full scale.
    """
    mixture, stems = rendered.mixture, rendered.stems
    if not len(stems) == len(rendered.gains_db) == len(plan.events):
        raise RenderError(plan, f"{len(stems)} stems of {len(plan.events)} events")
    lengths = sorted({len(part) for part in (mixture, *stems)})
    if lengths != [plan.n_samples]:
        raise RenderError(plan, f"{lengths} samples long instead of {plan.n_samples}")
    if not all(np.isfinite(part).all() for part in (mixture, *stems)):
        raise RenderError(plan, "has NaN or infinite samples")
    difference = np.abs(mixture - sum(stems)).max()
    if difference > _SUM_TOLERANCE:
        raise RenderError(plan, f"differs from the sum of its stems by {difference:.2g}")
    peak = np.abs(mixture).max()
    if peak >= 1:
        peak_db = 20 * np.log10(peak)
        remedy = f"{CLIPPING_REMEDY}, {plan.ref_db:g} LUFS, by more than {peak_db:.2f} dB"
        raise ClippingError(plan, f"clips, with a peak of {peak_db:+.2f} dBFS; {remedy}")
