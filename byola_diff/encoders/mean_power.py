"""A baseline that is additive by construction: the mean over time of the power in each mel band.

Powers of sounds that have nothing to do with one another add up, so an event moves the mean power
by its own, whatever the background. No other encoder should be expected to beat that; but power
without a logarithm names sounds badly.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from jaxtyping import Float
from torch import Tensor

from byola_diff.audio.log_mel import LogMel
from byola_diff.encoders.options import call_with_options
from byola_diff.models.frozen import FrozenEncoder


class MeanPower(FrozenEncoder):
    """Mel power, not its logarithm: of each frame as timestamp embeddings, their mean as scene.

    Nothing is trained and no statistics of a corpus are taken.
    """

    twice_first_center = 0
    layer_strides: Mapping[str, int] = MappingProxyType({"mel_power": 1})

    def __init__(self, log_mel: LogMel, window_s: float = 120.0) -> None:
        """Take a front end; clips longer than `window_s` are read in parts."""
        self.sample_rate, self.stride_samples = log_mel.sample_rate, log_mel.hop_samples
        super().__init__(window_s)
        self.log_mel = log_mel
        self.scene_embedding_size = self.timestamp_embedding_size = log_mel.n_mels
        self.freeze()

    def settings(self) -> dict[str, Any]:
        """Plain values that the embeddings depend on."""
        return {"log_mel": self.log_mel.settings(), "window_samples": self.window_samples}

    def samples_for(self, n_frames: int) -> int:
        """The fewest samples from which the network makes so many output frames."""
        return max((n_frames - 1) * self.stride_samples, self.log_mel.min_samples)

    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        return {"mel_power": self.log_mel.mel_power(waveform)[:, None]}

    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame mel"]:
        return self.log_mel.mel_power(waveform).transpose(1, 2)

    def _pool(self, frames: Float[Tensor, "batch frame mel"]) -> Float[Tensor, "batch dim"]:
        return frames.mean(dim=1)


def load_mean_power(
    front_end: Mapping[str, Any] | None = None, window_s: float = 120.0
) -> MeanPower:
    """The baseline; `front_end` holds arguments of `LogMel` that differ from BYOL-A's."""
    return MeanPower(call_with_options(LogMel, front_end or {}, "front_end"), window_s)
