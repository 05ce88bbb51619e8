"""The encoder as its users see it: waveform in, embeddings out.

Each embedding covers `frame_stride` frames of the log-mel. Long input is read in overlapping
windows cut on frame boundaries, with context enough that the result is that of one pass.
"""

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.audio.waveform import checked_waveform
from byola_diff.models.cnn import AudioNTT
from byola_diff.models.precision import network_autocast

_CACHED_FRAMES = 1024
"""Log-mel frames in one pass on a CPU, over several clips: their maps stay in its caches."""


class AudioEncoder(nn.Module):
    """Front end, corpus statistics and network behind one contract; for inference only.

    Always in eval mode and free of gradients; float32, but for the network inside
    `bfloat16_networks`. Takes waveforms `[batch, sample]` in [-1, 1] at `sample_rate`, of any
    length: zeros are added on the right of clips too short for one frame.
    """

    def __init__(
        self, log_mel: LogMel, normalize: Normalize, network: AudioNTT, window_frames: int = 4096
    ) -> None:
        """Assemble the parts.

        Args:
            log_mel: Front end.
            normalize: Statistics of the corpus `network` was trained on.
            network: Trained encoder of log-mels.
            window_frames: Log-mel frames encoded in one pass, over all clips of the batch. Bounds
                the memory, at about 60 kB a frame; the result does not depend on it.

        Raises:
            ValueError: If front end and network have different mel bands.
        """
        super().__init__()
        if log_mel.n_mels != network.n_mels:
            raise ValueError(
                f"the front end has {log_mel.n_mels} mel bands, the network takes {network.n_mels}"
            )
        self.log_mel, self.normalize, self.network = log_mel, normalize, network
        self.sample_rate: int = log_mel.sample_rate
        self.scene_embedding_size: int = network.dim
        self.timestamp_embedding_size: int = network.dim
        hop_ms = 1000 * log_mel.hop_samples / log_mel.sample_rate
        self.frame_spacing_ms: float = network.frame_stride * hop_ms
        self.window_frames = window_frames
        n_blocks = len(network.features) // 4
        self.layer_strides: Mapping[str, int] = {
            **{f"conv{block}": 2**block for block in range(1, n_blocks + 1)},
            **dict.fromkeys(("fc1", "fc2", "output"), network.frame_stride),
        }
        """Log-mel frames that one frame of each layer spans."""
        self.to(memory_format=torch.channels_last)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "AudioEncoder":
        """Stay in eval mode: dropout or batch statistics would make embeddings random."""
        del mode
        return super().train(False)

    @torch.no_grad()
    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """One embedding per clip: mean plus maximum over all its frames.

        As in the reference, frames are whole: up to `frame_stride - 1` log-mel frames at the end of
        the clip are not covered.

        Raises:
            TypeError: If the samples are not floating-point.
            ValueError: If the shape is not `[batch, sample]`, or a sample is NaN or infinite.
        """
        waveform = self._padded(checked_waveform(waveform))
        return torch.cat([self._scene(clips) for clips in self._groups(waveform)])

    @torch.no_grad()
    def timestamps(
        self, waveform: Tensor
    ) -> tuple[Float[Tensor, "batch frame dim"], Float[Tensor, "batch frame"]]:
        """Frame embeddings, and the centre of each frame in ms.

        Centres lie `frame_stride` hops apart: 40 ms for AudioNTT2022, 80 ms for AudioNTT2020 (more
        than the 50 ms that HEAR advises). Every frame centred inside the clip is there; to complete
        the last one, up to half its length of zeros is added. A clip that ends before the first
        centre gives one frame, placed at its end.

        Raises:
            TypeError: If the samples are not floating-point.
            ValueError: If the shape is not `[batch, sample]`, or a sample is NaN or infinite.
        """
        waveform = checked_waveform(waveform)
        centers_ms = self._centers_ms(waveform.shape[-1])
        n_frames = len(centers_ms)
        last_sample = (n_frames * self.network.frame_stride - 1) * self.log_mel.hop_samples
        groups = self._groups(self._padded(waveform, last_sample))
        embeddings = torch.cat([self._frames(clips, n_frames) for clips in groups])
        return embeddings, centers_ms.to(waveform.device).repeat(len(waveform), 1)

    @torch.no_grad()
    def layers(self, waveform: Tensor) -> dict[str, Tensor]:
        """Every layer by name: conv maps [batch, channel, mel, frame], then [batch, frame, dim].

        Raises:
            TypeError: If the samples are not floating-point.
            ValueError: If the shape is not `[batch, sample]`, or a sample is NaN or infinite.
        """
        waveform = self._padded(checked_waveform(waveform))
        groups = [self._layers(clips) for clips in self._groups(waveform)]
        return {name: torch.cat([group[name] for group in groups]) for name in groups[0]}

    def _scene(self, clips: Tensor) -> Tensor:
        sums, peaks, count = [], [], 0
        for samples, kept in self._windows(clips.shape[-1]):
            frames = self._encode(clips[:, samples])[:, kept]
            sums.append(frames.sum(dim=1))
            peaks.append(frames.amax(dim=1))
            count += frames.shape[1]
        return torch.stack(sums).sum(dim=0) / count + torch.stack(peaks).amax(dim=0)

    def _frames(self, clips: Tensor, n_frames: int) -> Tensor:
        # Filled in place: twenty minutes are 370 MB, which joining a list would double.
        embeddings = clips.new_empty(len(clips), n_frames, self.timestamp_embedding_size)
        filled = 0
        for samples, kept in self._windows(clips.shape[-1]):
            frames = self._encode(clips[:, samples])[:, kept][:, : n_frames - filled]
            embeddings[:, filled : filled + frames.shape[1]] = frames
            filled += frames.shape[1]
        return embeddings

    def _layers(self, clips: Tensor) -> dict[str, Tensor]:
        pieces: dict[str, list[Tensor]] = {}
        for samples, kept in self._windows(clips.shape[-1]):
            log_mel = self._log_mel(clips[:, samples])
            with network_autocast(clips.device.type):
                outputs = self.network.layers(log_mel)
            for name, output in outputs.items():
                pieces.setdefault(name, []).append(self._kept(name, output.float(), kept))
        return {
            name: torch.cat(outputs, dim=_frame_axis(outputs[0]))
            for name, outputs in pieces.items()
        }

    def _kept(self, name: str, output: Tensor, kept: slice) -> Tensor:
        """The frames of one layer that belong to the kept frame embeddings."""
        ratio = self.network.frame_stride // self.layer_strides[name]
        stop = None if kept.stop is None else kept.stop * ratio
        return output[
            (Ellipsis if output.ndim == 4 else slice(None), slice(kept.start * ratio, stop))
        ]

    def _encode(self, clips: Tensor) -> Tensor:
        log_mel = self._log_mel(clips)
        with network_autocast(clips.device.type):
            return self.network(log_mel).float()

    def _log_mel(self, clips: Tensor) -> Tensor:
        with torch.autocast(clips.device.type, enabled=False):
            return self.normalize(self.log_mel(clips))

    def _padded(self, waveform: Tensor, n_samples: int = 0) -> Tensor:
        """Zeros on the right up to `n_samples`, or the least that gives one frame."""
        one_frame = (self.network.frame_stride - 1) * self.log_mel.hop_samples
        missing = max(n_samples, one_frame, self.log_mel.min_samples) - waveform.shape[-1]
        return nn.functional.pad(waveform, (0, missing)) if missing > 0 else waveform

    def _centers_ms(self, n_samples: int) -> Float[Tensor, " frame"]:
        """Centres of the frames of a clip, in whole numbers up to the last step: no drift."""
        stride, hop = self.network.frame_stride, self.log_mel.hop_samples
        n_frames = max(0, 2 * n_samples - (stride - 1) * hop) // (2 * stride * hop) + 1
        twice_center = (2 * stride * torch.arange(n_frames) + stride - 1) * hop
        twice_center = twice_center.clamp_max(2 * n_samples)
        return (twice_center * 1000 / (2 * self.sample_rate)).float()

    def _groups(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """Clips that fit one pass together."""
        n_frames = 1 + waveform.shape[-1] // self.log_mel.hop_samples
        on_cpu = waveform.device.type == "cpu"
        limit = min(self.window_frames, _CACHED_FRAMES) if on_cpu else self.window_frames
        return waveform.split(max(1, limit // n_frames))

    def _windows(self, n_samples: int) -> Iterator[tuple[slice, slice]]:
        """Samples to read and, of the frame embeddings they give, those to keep."""
        stride, hop = self.network.frame_stride, self.log_mel.hop_samples
        n_frames = (1 + n_samples // hop) // stride
        size = max(1, self.window_frames // stride)
        # An embedding sees `stride - 1` log-mel frames beyond its own on either side (one at each
        # resolution: 1 + 2 + 4 for three blocks), and a log-mel frame sees half an FFT.
        context = stride - 1 + -(-self.log_mel.n_fft // (2 * hop))
        margin = -(-context // stride)
        for start in range(0, n_frames, size):
            stop = start + size
            first = max(0, start - margin)
            end = n_samples if stop + margin >= n_frames else (stop + margin) * stride * hop
            kept = slice(start - first, None if stop >= n_frames else stop - first)
            yield slice(first * stride * hop, end), kept


def _frame_axis(output: Tensor) -> int:
    return -1 if output.ndim == 4 else 1
