"""The choice of what renders soundscapes: Scaper, or our own mixer of the same convention."""

from collections.abc import Callable
from shutil import which
from typing import Literal

from byola_diff.soundscapes.render.mixer import MIXER_NAME, mix
from byola_diff.soundscapes.render.plan import Rendered, Roots, Soundscape

Renderer = Callable[[Soundscape, Roots], Rendered]

RendererName = Literal["auto", "scaper", "mixer"]

_INSTALL = (
    "pip install 'byola-diff[generate]', pip install --no-deps scaper==1.6.5, "
    "and the program sox (Debian package `sox`)"
)


def open_renderer(name: RendererName) -> tuple[str, Renderer]:
    """Name with version, as recorded beside rendered audio, and a function that can be pickled.

    Args:
        name: "auto" is Scaper where it and the program sox are installed, else the mixer.

    Raises:
        ModuleNotFoundError: If Scaper is asked for and it or sox is not installed.
    """
    if name == "mixer":
        return MIXER_NAME, mix
    try:
        if which("sox") is None:
            raise ModuleNotFoundError("no program sox", name="the program sox")
        from byola_diff.soundscapes.render import scaper_renderer
    except ModuleNotFoundError as error:
        if name == "auto":
            return MIXER_NAME, mix
        reason = f"rendering by Scaper needs {error.name}: {_INSTALL}"
        raise ModuleNotFoundError(reason, name=error.name) from error
    return scaper_renderer.RENDERER_NAME, scaper_renderer.render
