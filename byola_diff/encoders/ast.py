"""AST, the Audio Spectrogram Transformer, behind the contract of frozen encoders.

Source:
    Gong et al., 2021, "AST: Audio Spectrogram Transformer"; its layers as used by Niizumi et al.,
    2022, "Composing general audio representation by fusing multilayer features of a pre-trained
    model".
"""

from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from byola_diff.audio.waveform import checked_waveform
from byola_diff.encoders.ast_original import N_BANDS, N_MELS, PATCH, PATCH_STRIDE, read_original
from byola_diff.encoders.contract import package_versions
from byola_diff.encoders.manifest_statistics import Corpus, feature_moments
from byola_diff.encoders.pretrained_folder import find_folder, read_network, read_settings
from byola_diff.models.frozen import FrozenEncoder
from byola_diff.models.weights import WeightsSource
from byola_diff.optional import require
from byola_diff.storage import BrokenFileError

AST = WeightsSource(
    "AST",
    "a folder with config.json and model.safetensors, or the original file ast_audioset.pth",
    "https://huggingface.co/MIT/ast-finetuned-audioset-10-10-0.4593",
)
SAMPLE_RATE = 16_000
WINDOW_SAMPLES = 400
HOP_SAMPLES = 160
AUDIOSET_STATISTICS = (-4.2677393, 4.5689974)
"""Mean and deviation of the filter bank on AudioSet."""
_FIRST = WINDOW_SAMPLES + (PATCH - 1) * HOP_SAMPLES
"""Samples that one column of patches spans."""
_MODEL_SETTINGS = ("hidden_act", "layer_norm_eps", "num_attention_heads")


def ast_features(
    waveform: Float[Tensor, "batch sample"], statistics: tuple[float, float]
) -> Float[Tensor, "batch frame mel"]:
    """Kaldi's filter bank of clips of zero mean, scaled to a mean of 0 and a deviation of 0.5.

    Frames lie inside the clip: (samples - 400) // 160 + 1 of them. The statistics are mean and
    deviation of the filter bank over the data.

    Source:
        https://github.com/YuanGongND/ast, src/dataloader.py
    """
    fbank = require("torchaudio.compliance.kaldi", "evaluate", "the filter bank of AST").fbank
    with torch.autocast(waveform.device.type, enabled=False):
        clips = [
            fbank(
                clip[None],
                htk_compat=True,
                sample_frequency=SAMPLE_RATE,
                use_energy=False,
                window_type="hanning",
                num_mel_bins=N_MELS,
                dither=0.0,
                frame_length=1000 * WINDOW_SAMPLES / SAMPLE_RATE,
                frame_shift=1000 * HOP_SAMPLES / SAMPLE_RATE,
            )
            for clip in waveform.float()
        ]
    mean, deviation = statistics
    return (torch.stack(clips) - mean) / (2 * deviation)


def fitted_positions(
    positions: Float[Tensor, "1 token dim"], n_columns: int
) -> Float[Tensor, "1 fitted dim"]:
    """Position embeddings for a number of patch columns: the middle cut out, or stretched."""
    grid = rearrange(positions[:, 2:], "1 (band column) dim -> 1 dim band column", band=N_BANDS)
    n_known = grid.shape[-1]
    if n_columns <= n_known:
        start = n_known // 2 - n_columns // 2
        grid = grid[..., start : start + n_columns]
    else:
        grid = nn.functional.interpolate(grid, size=(N_BANDS, n_columns), mode="bilinear")
    patches = rearrange(grid, "1 dim band column -> 1 (band column) dim")
    return torch.cat([positions[:, :2], patches], dim=1)


class ASTEncoder(FrozenEncoder):
    """AST with 16 x 16 patches every 10 frames.

    A layer is one vector of a clip: the mean of the CLS and the distillation token behind that
    block, through the final layer norm. Of a clip longer than a window it is the mean over windows,
    weighted by their lengths. The scene embedding is the last layer.

    Timestamp embeddings are our choice, none being published: patches of the last layer through the
    final layer norm, averaged over the mel axis; one every 1600 samples.
    """

    sample_rate = SAMPLE_RATE
    stride_samples = PATCH_STRIDE * HOP_SAMPLES
    twice_first_center = _FIRST
    pooling = "first"

    def __init__(
        self, network: nn.Module, statistics: tuple[float, float], window_s: float
    ) -> None:
        """Take `ASTModel` of transformers; the rest is as for `load_ast`."""
        super().__init__(window_s)
        mean, deviation = map(float, statistics)
        if not deviation > 0:
            raise ValueError(f"statistics are a mean and a positive deviation, not {statistics}")
        self.statistics = (mean, deviation)
        self.network = network
        config: Any = network.config
        self.scene_embedding_size = self.timestamp_embedding_size = config.hidden_size
        self.layer_strides = {str(block + 1): 1 for block in range(config.num_hidden_layers)}
        self.freeze()

    def settings(self) -> dict[str, Any]:
        """Plain values that the embeddings depend on, besides the weights."""
        config: Any = self.network.config
        return {
            "sample_rate": self.sample_rate,
            "statistics": list(self.statistics),
            "window_samples": self.window_samples,
            "network": {name: getattr(config, name) for name in _MODEL_SETTINGS},
            "packages": package_versions("transformers", "torchaudio"),
        }

    @torch.no_grad()
    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """The last layer of each clip."""
        return list(self.layers(waveform).values())[-1][:, 0]

    @torch.no_grad()
    def layers(self, waveform: Tensor) -> dict[str, Float[Tensor, "batch 1 dim"]]:
        """Every layer by name, in order."""
        waveform = self._padded(checked_waveform(waveform))
        totals = dict.fromkeys(self.layer_strides, torch.zeros((), device=waveform.device))
        n_total = 0
        for samples, _ in self._windows(waveform.shape[-1]):
            window = waveform[:, samples]
            n_total += window.shape[-1]
            for name, embedding in self._layers(window).items():
                totals[name] = totals[name] + embedding * window.shape[-1]
        return {name: total / n_total for name, total in totals.items()}

    def _padded(self, waveform: Tensor, n_samples: int = 0) -> Tensor:
        # The mean is that of the clip: taken before zeros are added or windows cut.
        return super()._padded(waveform - waveform.mean(dim=1, keepdim=True), n_samples)

    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        states = self._output(waveform, output_hidden_states=True).hidden_states
        final_norm = self.network.get_submodule("layernorm")
        return {
            name: final_norm(state[:, :2]).float().mean(dim=1, keepdim=True)
            for name, state in zip(self.layer_strides, states[1:], strict=True)
        }

    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame dim"]:
        patches = self._output(waveform).last_hidden_state[:, 2:]
        columns = rearrange(patches, "batch (band frame) dim -> batch band frame dim", band=N_BANDS)
        return columns.float().mean(dim=1)

    def _output(self, waveform: Tensor, **options: bool) -> Any:
        """Output of the network on as many frames as there are, its positions fitted to them."""
        features = ast_features(waveform, self.statistics)
        n_columns = (features.shape[1] - PATCH) // PATCH_STRIDE + 1
        name = "embeddings.position_embeddings"
        fitted = {name: fitted_positions(self.network.get_parameter(name), n_columns)}
        return functional_call(self.network, fitted, (features,), options)


def load_ast(
    weights: Path | str,
    statistics: tuple[float, float] | Literal["audioset", "task"] | None = None,
    window_s: float = 30.0,
    corpus: Corpus | None = None,
) -> ASTEncoder:
    """AST from a folder, a name in the download cache, or the original ast_audioset.pth.

    Statistics are mean and deviation of the filter bank, or whose they are: "audioset", or those of
    the "task", the corpus, as in EVAR. None: those that the folder names, else AudioSet's. The
    longest stretch read in one pass is `window_s`.

    Raises:
        FileNotFoundError: If there is no such folder or file; says where to get it.
        BrokenFileError: If it is of another architecture or sampling rate, or lacks weights.
        ValueError: If statistics of the task are asked for without one.
    """
    if Path(weights).suffix == ".pth":
        network, own = read_original(Path(weights), AST), AUDIOSET_STATISTICS
    else:
        network, own = _from_folder(find_folder(weights, AST))
    if statistics == "task":
        if corpus is None:
            raise ValueError(
                "statistics: task, for AST, needs a manifest, whose training clips they are taken "
                "of: give one, or statistics: audioset"
            )
        statistics = feature_moments(corpus, SAMPLE_RATE, _raw_features)
    elif statistics == "audioset":
        statistics = AUDIOSET_STATISTICS
    return ASTEncoder(network, statistics or own, window_s)


def _from_folder(folder: Path) -> tuple[nn.Module, tuple[float, float]]:
    """The network, and the statistics that come with it."""
    config, preprocessor = read_settings(folder, "audio-spectrogram-transformer")
    grid = {"patch_size": PATCH, "frequency_stride": PATCH_STRIDE, "time_stride": PATCH_STRIDE}
    for name, value in {**grid, "num_mel_bins": N_MELS}.items():
        if config.get(name, value) != value:
            raise BrokenFileError(folder / "config.json", f"{name} is {config[name]}, not {value}")
    mean, deviation = AUDIOSET_STATISTICS
    own = (preprocessor.get("mean", mean), preprocessor.get("std", deviation))
    return read_network(folder), own


def _raw_features(waveform: Float[Tensor, "1 sample"]) -> Float[Tensor, "1 1 frame mel"]:
    """What an encoder sees of a clip, before it is scaled."""
    centred = waveform - waveform.mean(dim=1, keepdim=True)
    padded = nn.functional.pad(centred, (0, max(0, _FIRST - centred.shape[1])))
    return ast_features(padded, (0.0, 0.5))[:, None]
