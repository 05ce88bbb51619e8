"""An `AudioEncoder` as one graph of standard operations, for files that run without this package.

Any batch and length, in one pass: the windows in which `AudioEncoder` reads long clips bound its
memory and change no result. Sizes are computed from the input's by `torch.sym_max` and the like,
as `torch.export` would fix what Python's `max` decides.
"""

import copy
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.convolutional_log_mel import ConvolutionalLogMel
from byola_diff.models.cnn import AudioNTT
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.frozen import Timestamps
from byola_diff.models.pooling import mean_max_pool

StoredWeights = Literal["float32", "float16", "int8"]
"""How the matrices of linear layers are kept; all is computed in float32."""

Size = int | torch.SymInt


class _Deployed(nn.Module):
    """Front end, statistics and network of an encoder, on the CPU."""

    def __init__(self, encoder: AudioEncoder, weights: StoredWeights = "float32") -> None:
        """Copy the parts; a TypeError for an encoder that makes something else of its network."""
        if type(encoder) is not AudioEncoder:
            raise TypeError(f"only an AudioEncoder can be deployed, not {type(encoder).__name__}")
        super().__init__()
        encoder = copy.deepcopy(encoder).cpu()
        self.log_mel = ConvolutionalLogMel(encoder.log_mel)
        self.normalize = encoder.normalize
        self.network = encoder.network.to(memory_format=torch.contiguous_format)
        if weights != "float32":
            _store_linear_layers(self.network, weights)
        self.sample_rate, self.hop_samples = encoder.sample_rate, encoder.log_mel.hop_samples
        self.stride_samples = encoder.stride_samples
        self.twice_first_center = encoder.twice_first_center
        self.shortest_samples = encoder.samples_for(1)
        self.requires_grad_(False).eval()

    def _frames(
        self, waveform: Float[Tensor, "batch sample"], n_samples: Size
    ) -> Float[Tensor, "batch frame dim"]:
        """Frame embeddings of waveforms, with zeros on the right up to `n_samples`."""
        most = max(self.shortest_samples, self.stride_samples)
        padded = nn.functional.pad(waveform, (0, most))[:, :n_samples]
        return self.network(self.normalize(self.log_mel(padded)))


class DeployedScene(_Deployed):
    """`AudioEncoder.scene`."""

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch dim"]:
        """One embedding per clip."""
        n_samples = torch.sym_max(waveform.shape[1], self.shortest_samples)
        return mean_max_pool(self._frames(waveform, n_samples))


class DeployedTimestamps(_Deployed):
    """`AudioEncoder.timestamps`."""

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> Timestamps:
        """Frame embeddings, and the centre of each in ms."""
        batch, n_samples = waveform.shape
        first, step = self.twice_first_center, 2 * self.stride_samples
        # Frames centred in the clip, as `FrozenEncoder.n_centers` has them. The step is added
        # before the division, as runtimes differ in how they round a negative quotient.
        n_frames = torch.sym_max((2 * n_samples - first + step) // step, 1)
        whole = torch.sym_max(n_frames * self.stride_samples - self.hop_samples, n_samples)
        frames = self._frames(waveform, torch.sym_max(whole, self.shortest_samples))
        number = torch.arange(n_frames, device=waveform.device)
        position = (first + step * number).clamp_max(2 * n_samples).double()
        centers_ms = (position * 500 / self.sample_rate).float()
        # Not a slice, of which torch.export does not know that it has as many frames.
        return frames.index_select(1, number), centers_ms.expand(batch, -1)


class _StoredLinear(nn.Module):
    """A linear layer with a small matrix, which is float32 again when it is used."""

    stored: Tensor
    scale: Tensor | None
    """What whole numbers of a row stand for, [row, 1]; None for float16."""

    def __init__(self, linear: nn.Linear, weights: StoredWeights) -> None:
        super().__init__()
        matrix, self.bias = linear.weight.detach(), linear.bias
        scale = None
        if weights == "int8":
            scale = matrix.abs().amax(dim=1, keepdim=True).clamp_min(_TINY) / 127
            stored = (matrix / scale).round().to(torch.int8)
        else:
            stored = matrix.half()
            if not stored.isfinite().all():
                raise ValueError("weights lie beyond float16: keep them as float32")
        self.register_buffer("stored", stored)
        self.register_buffer("scale", scale)

    def forward(self, features: Float[Tensor, "*rest dim_in"]) -> Float[Tensor, "*rest dim_out"]:
        matrix = self.stored.float()
        matrix = matrix if self.scale is None else matrix * self.scale
        return nn.functional.linear(features, matrix, self.bias)


_TINY = torch.finfo(torch.float32).tiny


def _store_linear_layers(network: AudioNTT, weights: StoredWeights) -> None:
    for place, layer in enumerate(network.fc):
        if isinstance(layer, nn.Linear):
            network.fc[place] = _StoredLinear(layer, weights)
