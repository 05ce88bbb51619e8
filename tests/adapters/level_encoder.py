"""An encoder whose embeddings can be worked out by hand."""

import torch

from byola_diff.models.frozen import FrozenEncoder

SPEC = "python:tests.adapters.level_encoder:LevelEncoder"
OTHER_SPEC = "python:tests.adapters.level_encoder:LouderEncoder"


class LevelEncoder(FrozenEncoder):
    """At 8 kHz, mean and power of every 10 ms; the layer before has the mean of every 5 ms."""

    sample_rate, scene_embedding_size, timestamp_embedding_size = 8_000, 2, 2
    layer_strides = {"half": 1, "mean": 2, "both": 2}  # noqa: RUF012
    stride_samples = twice_first_center = 80

    def __init__(self, gain=1.0):
        super().__init__(window_s=10.0)
        self.register_buffer("gain", torch.tensor(gain))
        self.freeze()

    def settings(self):
        return {}

    def _frames(self, waveform):
        frames = self.gain * waveform.unfold(1, 80, 80)
        return torch.stack([frames.mean(2), frames.square().mean(2)], dim=2)

    def _layers(self, waveform):
        both = self._frames(waveform)
        half = waveform[:, : 80 * both.shape[1]].unfold(1, 40, 40).mean(2, keepdim=True)
        return {"half": half, "mean": both[..., :1].repeat(1, 1, 2), "both": both}


class LouderEncoder(LevelEncoder):
    """Of twice the gain."""

    def __init__(self):
        super().__init__(2.0)


class TokenEncoder(LevelEncoder):
    """Whose layers are one vector for the whole clip."""

    pooling = "first"

    def layers(self, waveform):
        return {
            name: layer.mean(1, keepdim=True) for name, layer in super().layers(waveform).items()
        }
