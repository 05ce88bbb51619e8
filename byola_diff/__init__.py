"""General-purpose audio embeddings that keep the difference between sounds."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from byola_diff.audio.find import find_audio
    from byola_diff.models.bundle import load_encoder

__all__ = ["__version__", "find_audio", "load_encoder"]
__version__ = "0.4.0"
_FROM = {"find_audio": "byola_diff.audio.find", "load_encoder": "byola_diff.models.bundle"}


def __getattr__(name: str) -> Any:
    # Imported on first use: reading a manifest or the version does not wait for torch.
    if name in _FROM:
        return getattr(import_module(_FROM[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
