"""What a run starts from in place of random weights: an encoder trained before."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from byola_diff.config import EncoderConfig, FrontEndConfig, PretrainConfig
from byola_diff.models.bundle import load_encoder, place_of
from byola_diff.models.cnn import AudioNTT
from byola_diff.models.shipped import SHIPPED
from byola_diff.models.weights import read_byola


class Start(NamedTuple):
    """The configuration as the encoder to start from has it, its network, its statistics."""

    config: PretrainConfig
    network: AudioNTT | None = None
    """None where weights are drawn by the seed."""
    statistics: tuple[float, float] | None = None
    """Mean and deviation of log-mels that a bundle was trained with; None: those of the clips."""


def read_start(config: PretrainConfig) -> Start:
    """What the run of a configuration starts from.

    Raises:
        FileNotFoundError: If there is nothing at `init_from`; of `hf:OWNER/NAME`, all errors of
            `fetch_bundle`.
        BrokenFileError: If it holds no encoder that can be used.
        ValueError: If its network does not take as many mel bands as the front end gives.
    """
    if config.init_from is None:
        return Start(config)
    path = place_of(config.init_from)
    if not path.exists():
        named = (
            "a bundle folder, hf:OWNER/NAME, a .pth file of BYOL-A weights, or one of "
            f"{', '.join(SHIPPED)}"
        )
        raise FileNotFoundError(
            f"init_from: nothing at {path}, where {named} was to be; a run that is resumed needs "
            "it too, to see that it is the same"
        )
    if path.is_file():  # weights alone
        network = read_byola(path)
        if network.n_mels != (given := config.front_end.n_mels):
            raise ValueError(
                f"init_from {path}: its network takes {network.n_mels} mel bands, "
                f"front_end.n_mels is {given}"
            )
        return Start(_with_network(config, network), network)
    encoder = load_encoder(path)
    front_end = FrontEndConfig(**encoder.log_mel.settings())  # pyright: ignore[reportArgumentType]
    statistics = encoder.normalize.mean.item(), encoder.normalize.std.item()
    config = replace(_with_network(config, encoder.network), front_end=front_end)
    return Start(config, encoder.network, statistics)


def weights_file(init_from: str) -> Path:
    """The file whose bytes say which encoder a run starts from."""
    path = place_of(init_from)
    return path / "model.safetensors" if path.is_dir() else path


def _with_network(config: PretrainConfig, network: AudioNTT) -> PretrainConfig:
    name = "AudioNTT2020" if type(network).__name__ == "AudioNTT2020" else "AudioNTT2022"
    return replace(config, encoder=EncoderConfig(name=name, dim=network.dim))
