"""What figures of reports share: PNG files in memory, legible in grey and to the colour-blind."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from byola_diff.audio.log_mel import LogMel
from byola_diff.optional import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours of Okabe and Ito, and a dash of its own for each: told apart in grey too.
LINES: tuple[dict[str, Any], ...] = (
    {"color": "#D55E00", "linestyle": "-"},
    {"color": "#0072B2", "linestyle": "--"},
    {"color": "#000000", "linestyle": ":"},
    {"color": "#009E73", "linestyle": "-."},
    {"color": "#CC79A7", "linestyle": (0, (5, 1))},
)


def new_figure(width_inches: float, height_inches: float) -> "Figure":
    """An empty figure.

    Raises:
        ModuleNotFoundError: If Matplotlib is absent; it names the extra.
    """
    # Not pyplot: no window system, no figures kept alive.
    matplotlib = require("matplotlib.figure", "evaluate", "a figure")
    return matplotlib.Figure(figsize=(width_inches, height_inches), layout="constrained")


def add_legend(figure: "Figure", names: Sequence[str]) -> None:
    """One legend below all panels, in the order of `names`, without those that are not drawn."""
    handles = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    drawn = [name for name in names if name in handles]
    figure.legend(
        [handles[name] for name in drawn],
        drawn,
        loc="outside lower center",
        ncols=min(2, len(drawn)),
        fontsize=8,
        frameon=False,
        handlelength=4,
    )


def to_png(figure: "Figure", dpi: int = 130) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def band_centres_hz(log_mel: LogMel) -> Float[np.ndarray, " mel"]:
    """Mean frequency of each mel band, as its filter weighs it."""
    bank = log_mel.get_buffer("mel_bank").double().cpu().numpy()
    bins_hz = np.linspace(0, log_mel.sample_rate / 2, bank.shape[1])
    return bank @ bins_hz / bank.sum(1)


def mel_ticks(
    log_mel: LogMel, ticks_hz: Sequence[float]
) -> tuple[Float[np.ndarray, " tick"], list[float]]:
    """Places along the mel axis, in bands, of those frequencies that lie within it, and these."""
    centre_hz = band_centres_hz(log_mel)
    inside = [hz for hz in ticks_hz if centre_hz[0] <= hz <= centre_hz[-1]]
    return np.interp(inside, centre_hz, np.arange(len(centre_hz))), inside
