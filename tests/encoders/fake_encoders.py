"""Tiny frozen encoders with the clocks of published ones."""

import torch
from einops import rearrange
from torch import nn

from byola_diff.models.frozen import FrozenEncoder


class FakeMaps(FrozenEncoder):
    """Maps at strides 1, 2 and 4 of frames of `hop` samples, then frames at stride 4."""

    layer_strides = {"a": 1, "b": 2, "c": 4, "d": 4}  # noqa: RUF012
    sample_rate = 16_000

    def __init__(self, hop=160, seed=0):
        self.hop, self.stride_samples, self.twice_first_center = hop, 4 * hop, 4 * hop
        super().__init__(window_s=60.0)
        generator = torch.Generator().manual_seed(seed)
        self.scale = nn.Parameter(torch.rand(2, 3, generator=generator) + 0.5)
        self.scene_embedding_size = self.timestamp_embedding_size = 5
        self.freeze()

    def settings(self):
        return {"hop": self.hop}

    def samples_for(self, n_frames):
        return 4 * self.hop * n_frames

    def _layers(self, waveform):
        whole = waveform.shape[1] // self.hop * self.hop
        frames = rearrange(waveform[:, :whole], "b (t p) -> b t p", p=self.hop).mean(dim=2)
        a = frames[:, None, None] * self.scale[:, :, None]
        b, c = (a.unfold(-1, size, size).mean(dim=-1) for size in (2, 4))
        return {"a": a, "b": b, "c": c, "d": c[:, 0, :1].transpose(1, 2).repeat(1, 1, 5)}

    def _frames(self, waveform):
        return self._layers(waveform)["d"]


class FakeSegments(FakeMaps):
    """As VGGish: output frames of 12 finest ones, layers pooled to 3 each."""

    def __init__(self, hop=160):
        super().__init__(hop)
        self.stride_samples = self.twice_first_center = 12 * hop

    @property
    def finest_frames(self):
        return 12

    def samples_for(self, n_frames):
        return 12 * self.hop * n_frames

    def _layers(self, waveform):
        segments = waveform.shape[1] // self.stride_samples
        return super()._layers(waveform[:, : segments * self.stride_samples])

    def _frames(self, waveform):
        return super()._frames(waveform).unfold(1, 3, 3).mean(dim=-1)


class FakeSpeech(FrozenEncoder):
    """As wav2vec 2.0: frames of 400 samples every 320, of which only whole ones count."""

    sample_rate = 16_000
    stride_samples, twice_first_center = 320, 400

    def __init__(self, dim, n_layers=3, seed=0):
        super().__init__(window_s=60.0)
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(n_layers, dim, generator=generator))
        self.scene_embedding_size = self.timestamp_embedding_size = dim
        self.layer_strides = {str(layer): 1 for layer in range(n_layers)}
        self.freeze()

    def settings(self):
        return {}

    def samples_for(self, n_frames):
        return 400 + (n_frames - 1) * 320

    def n_timestamps(self, n_samples):
        return max(1, (n_samples - 400) // 320 + 1)

    def _layers(self, waveform):
        level = waveform.unfold(1, 400, 320).mean(dim=2)[..., None]
        return {name: level * self.weight[int(name)] for name in self.layer_strides}

    def _frames(self, waveform):
        return self._layers(waveform)[list(self.layer_strides)[-1]]


class FakeCrepe(FrozenEncoder):
    """As CREPE: frames around every `hop` samples, the embedding not the last layer."""

    sample_rate = 16_000
    twice_first_center = 0

    def __init__(self, dim=2048, hop_samples=800):
        self.stride_samples = hop_samples
        super().__init__(window_s=60.0)
        self.scene_embedding_size = self.timestamp_embedding_size = dim
        self.layer_strides = {"5": 1, "6": 1}
        self.register_buffer("ramp", torch.linspace(-1, 1, dim))
        self.freeze()

    def settings(self):
        return {"hop_samples": self.stride_samples}

    def samples_for(self, n_frames):
        return 1024 + (n_frames - 1) * self.stride_samples

    def _padded(self, waveform, n_samples=0):
        return super()._padded(nn.functional.pad(waveform, (512, 512)), n_samples)

    def _layers(self, waveform):
        level = waveform.unfold(1, 1024, self.stride_samples).square().mean(dim=2)[..., None]
        return {"5": level + self.ramp, "6": level - self.ramp}

    def _frames(self, waveform):
        return self._layers(waveform)["5"]


class FakeTokens(FakeSpeech):
    """As AST: one vector for the clip, whatever its length, and timestamps from elsewhere."""

    pooling = "first"

    def layers(self, waveform):
        return {name: f.mean(1, keepdim=True) for name, f in super().layers(waveform).items()}


class Foreign(nn.Module):
    """An encoder that does not tell its clock; `late` frames of its layer have no timestamp."""

    sample_rate = 16_000
    scene_embedding_size = timestamp_embedding_size = 2
    layer_strides = {"embedding": 1}  # noqa: RUF012

    def __init__(self, late=0):
        super().__init__()
        self.late = late

    def scene(self, waveform):
        return self.layers(waveform)["embedding"].mean(dim=1)

    def timestamps(self, waveform):
        frames = self.layers(waveform)["embedding"]
        frames = frames[:, : frames.shape[1] - self.late]
        return frames, torch.arange(frames.shape[1]).mul(10.0).repeat(len(waveform), 1)

    def layers(self, waveform):
        level = nn.functional.pad(waveform, (0, 400)).unfold(1, 160, 160).mean(dim=2)
        return {"embedding": torch.stack([level, -level], dim=-1)}
