"""The contract of an encoder: waveforms to embeddings, the same whatever else is in the batch."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from byola_diff.models.frozen import Timestamps


@runtime_checkable
class Encoder(Protocol):
    """What every evaluation takes. Waveforms are [batch, sample] in [-1, 1] at `sample_rate`.

    Methods raise a TypeError if samples are not floating-point, and a ValueError if the shape is
    another or a sample is NaN or infinite.
    """

    sample_rate: int
    """Hz."""
    scene_embedding_size: int
    timestamp_embedding_size: int

    @property
    def layer_strides(self) -> Mapping[str, int]:
        """By layer, in order: frames of the model's finest clock that one of its frames spans.

        Layers of one stride are aligned frame by frame.
        """
        ...

    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """One embedding per clip."""
        ...

    def timestamps(self, waveform: Tensor) -> Timestamps:
        """Embeddings over time, and the centre of each in ms."""
        ...

    def layers(self, waveform: Tensor) -> dict[str, Tensor]:
        """Every layer by name: [batch, channel, mel, frame] or [batch, frame, dim]."""
        ...


def package_versions(*packages: str) -> dict[str, str]:
    """For `settings()`: another version may compute other embeddings from the same weights.

    Without the build, as in "+cpu", so that settings are the same on every device.
    """
    return {package: version(package).partition("+")[0] for package in packages}
