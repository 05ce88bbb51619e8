"""Our own encoder as its users see it: BYOL-A's front end and network, waveform in, embeddings out.

Each embedding covers `frame_stride` frames of the log-mel. Long input is read in overlapping
windows cut on frame boundaries, with context enough that the result is that of one pass.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.models.cnn import AudioNTT
from byola_diff.models.frozen import FrozenEncoder


class AudioEncoder(FrozenEncoder):
    """Front end, corpus statistics and network behind one contract; for inference only.

    Always in eval mode and free of gradients; float32, but for the network inside
    `bfloat16_networks`. Takes waveforms `[batch, sample]` in [-1, 1] at `sample_rate`, of any
    length: zeros are added on the right of clips too short for one frame.

    Timestamps lie `frame_stride` hops apart: 40 ms for AudioNTT2022, 80 ms for AudioNTT2020 (more
    than the 50 ms that HEAR advises). A scene embedding is the mean plus the maximum over all whole
    frames, as in the reference: up to `frame_stride - 1` log-mel frames at the end of the clip are
    not covered.
    """

    def __init__(
        self, log_mel: LogMel, normalize: Normalize, network: AudioNTT, window_frames: int = 4096
    ) -> None:
        """Assemble the parts; a ValueError if front end and network have different mel bands.

        `window_frames` log-mel frames are encoded in one pass, over all clips of the batch. They
        bound the memory, at about 60 kB each; the result does not depend on them.
        """
        if log_mel.n_mels != network.n_mels:
            raise ValueError(
                f"the front end has {log_mel.n_mels} mel bands, the network takes {network.n_mels}"
            )
        self.sample_rate = log_mel.sample_rate
        self.scene_embedding_size = self.timestamp_embedding_size = network.dim
        stride, hop = network.frame_stride, log_mel.hop_samples
        self.stride_samples, self.twice_first_center = stride * hop, (stride - 1) * hop
        super().__init__(max(stride, window_frames) * hop / log_mel.sample_rate)
        self.log_mel, self.normalize, self.network = log_mel, normalize, network
        self.frame_spacing_ms: float = stride * (1000 * hop / log_mel.sample_rate)
        # An embedding sees `stride - 1` log-mel frames beyond its own on either side (one at each
        # resolution: 1 + 2 + 4 for three blocks), and a log-mel frame sees half an FFT.
        context = stride - 1 + -(-log_mel.n_fft // (2 * hop))
        self.margin_frames = -(-context // stride)
        n_blocks = len(network.features) // 4
        self.layer_strides: Mapping[str, int] = {
            **{f"conv{block}": 2**block for block in range(1, n_blocks + 1)},
            **dict.fromkeys(("fc1", "fc2", "output"), stride),
        }
        """Log-mel frames that one frame of each layer spans."""
        self.to(memory_format=torch.channels_last)
        self.freeze()

    def settings(self) -> dict[str, Any]:
        """Nothing: front end and statistics are modules, which tell their own."""
        return {}

    def samples_for(self, n_frames: int) -> int:
        """The fewest samples from which the network makes so many output frames."""
        hop = self.log_mel.hop_samples
        return max(n_frames * self.stride_samples - hop, self.log_mel.min_samples)

    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        return self.network.layers(self._log_mel(waveform))

    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame dim"]:
        return self.network(self._log_mel(waveform))

    def _scene(self, clips: Tensor) -> Tensor:
        # Window by window, so that a long clip needs no more memory than one of them.
        sums, peaks, count = [], [], 0
        for frames in self._window_frames(clips):
            sums.append(frames.sum(dim=1))
            peaks.append(frames.amax(dim=1))
            count += frames.shape[1]
        return torch.stack(sums).sum(dim=0) / count + torch.stack(peaks).amax(dim=0)

    def _log_mel(self, clips: Tensor) -> Tensor:
        with torch.autocast(clips.device.type, enabled=False):
            return self.normalize(self.log_mel(clips))

    def _groups(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """Clips that fit one pass together."""
        hop = self.log_mel.hop_samples
        n_frames, limit = 1 + waveform.shape[-1] // hop, self.window_samples // hop
        if waveform.device.type == "cpu":
            limit = min(limit, 1024)  # so many frames have maps that stay in its caches
        return waveform.split(max(1, limit // n_frames))
