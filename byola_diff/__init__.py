"""General-purpose audio embeddings that keep the difference between sounds."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from byola_diff.models.bundle import load_encoder

__all__ = ["__version__", "load_encoder"]
__version__ = "0.4.0"


def __getattr__(name: str) -> Any:
    # Imported on first use: reading a manifest or the version does not wait for torch.
    if name == "load_encoder":
        from byola_diff.models.bundle import load_encoder

        return load_encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
