"""The least that an encoder should beat: mean and deviation of each mel band over time."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.audio.log_mel import LogMel
from byola_diff.encoders.options import call_with_options
from byola_diff.models.frozen import FrozenEncoder


class LogMelStatistics(FrozenEncoder):
    """Log-mel frames as timestamp embeddings, their mean and deviation as scene embedding.

    The deviation is that of the population: 0 for a single frame. Maxima are left out, as one click
    would decide them; `log-mel-statistics[log_mel]` is mean plus maximum instead. Nothing is
    trained and no statistics of a corpus are taken: a probe standardises what it gets.
    """

    twice_first_center = 0
    layer_strides: Mapping[str, int] = MappingProxyType({"log_mel": 1})

    def __init__(self, log_mel: LogMel, window_s: float = 120.0) -> None:
        """Take a front end; clips longer than `window_s` are read in parts."""
        self.sample_rate, self.stride_samples = log_mel.sample_rate, log_mel.hop_samples
        super().__init__(window_s)
        self.log_mel = log_mel
        self.timestamp_embedding_size = log_mel.n_mels
        self.scene_embedding_size = 2 * log_mel.n_mels
        self.freeze()

    def settings(self) -> dict[str, Any]:
        """Plain values that the embeddings depend on."""
        return {"log_mel": self.log_mel.settings(), "window_samples": self.window_samples}

    def samples_for(self, n_frames: int) -> int:
        """The fewest samples from which the network makes so many output frames."""
        return max((n_frames - 1) * self.stride_samples, self.log_mel.min_samples)

    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        return {"log_mel": self.log_mel(waveform)}

    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame mel"]:
        return self.log_mel(waveform)[:, 0].transpose(1, 2)

    def _pool(self, frames: Float[Tensor, "batch frame mel"]) -> Float[Tensor, "batch dim"]:
        std, mean = torch.std_mean(frames, dim=1, correction=0)
        return torch.cat([mean, std], dim=-1)


def load_log_mel_statistics(
    front_end: Mapping[str, Any] | None = None, window_s: float = 120.0
) -> LogMelStatistics:
    """The baseline; `front_end` holds arguments of `LogMel` that differ from BYOL-A's."""
    log_mel = call_with_options(LogMel, front_end or {}, "front_end")
    return LogMelStatistics(log_mel, window_s)
