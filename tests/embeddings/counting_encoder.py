"""An encoder of known embeddings that counts its calls and can fail on request."""

import torch
from torch import nn

from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.open import NamedEncoder
from tests.corpus import RATE


class CountingEncoder(nn.Module):
    """Scene: `gain` times [length, mean, maximum]. Frames of 400 samples."""

    sample_rate = RATE
    scene_embedding_size = 3
    timestamp_embedding_size = 1

    def __init__(self, gain=1.0, fails_at_call=None):
        super().__init__()
        self.register_buffer("gain", torch.tensor(gain))
        self.layer_strides = {"b": 1, "a": 2}
        self.fails_at_call = fails_at_call
        self.shapes = []

    def _count(self, waveform):
        self.shapes.append(tuple(waveform.shape))
        if len(self.shapes) == self.fails_at_call:
            raise KeyboardInterrupt

    def scene(self, waveform):
        self._count(waveform)
        length = torch.full((len(waveform),), float(waveform.shape[1]))
        return self.gain * torch.stack([length, waveform.mean(1), waveform.amax(1)], dim=1)

    def timestamps(self, waveform):
        self._count(waveform)
        frames = waveform.unfold(1, 400, 400).amax(2)
        centers_ms = (torch.arange(frames.shape[1]) + 0.5) * 50
        return self.gain * frames[..., None], centers_ms.repeat(len(waveform), 1)

    def layers(self, waveform):
        self._count(waveform)
        fine = waveform.unfold(1, 400, 400)[..., :5]
        return {"b": self.gain * fine, "a": self.gain * waveform.unfold(1, 800, 800)[..., :2]}


def named(gain=1.0, fails_at_call=None):
    encoder = CountingEncoder(gain, fails_at_call)
    return NamedEncoder("counting", encoder, content_hash(encoder))
