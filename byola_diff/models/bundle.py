"""Bundle: a folder with all that an encoder needs, and its way back into an `AudioEncoder`.

model.safetensors    weights of the network, under the released names
config.json          front end, corpus statistics, architecture, training, licence, hashes
README.md            model card
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.models.cnn import AudioNTT
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.shipped import SHIPPED, shipped_bundle
from byola_diff.models.weights import build_network, read_byola, read_safetensors
from byola_diff.storage import BrokenFileError, check_seal, read_json, sealed_json, sha256

FORMAT_VERSION = 2
"""Format 1 had no hash of config.json."""


def load_encoder(
    path: str | Path,
    statistics: Sequence[float] | None = None,
    front_end: Mapping[str, Any] | None = None,
) -> AudioEncoder:
    """Encoder by the name of a shipped one, from a bundle folder, or from a `.pth` of BYOL-A.

    The names are those of `byola_diff.models.shipped`; a folder of such a name is `./byola-diff`. A
    `.pth` holds weights alone: it needs the statistics, mean and standard deviation of the
    log-mels of its training data, and may be given arguments of `LogMel` for its front end; what is
    left out is as in BYOL-A (1024-sample window, 60 to 7800 Hz). Nothing is downloaded.

    Raises:
        FileNotFoundError: If there is nothing at `path`.
        BrokenFileError: If the files are incomplete, altered, of another format or architecture, or
            could run code.
        ValueError: If `statistics` are missing, or a bundle, which has its own, is given some.
    """
    path = shipped_bundle(path) or Path(path).expanduser()
    if path.is_dir():
        if statistics is not None or front_end is not None:
            raise ValueError(f"{path} is a bundle with its own statistics and front end: pass none")
        return _load_bundle(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"nothing at {path}: give a bundle folder (python -m byola_diff.export CHECKPOINT OUT "
            "writes one), a .pth file of BYOL-A weights, or the name of a shipped encoder: "
            + ", ".join(SHIPPED)
        )
    network = read_byola(path)
    if statistics is None:
        raise ValueError(
            f"{path} holds weights without normalisation statistics. Pass statistics=(mean, std) "
            'of the log-mels of its training data: of our own files, they are in "statistics" of '
            "the config.json beside it (or load that folder); for released BYOL-A weights compute "
            "them over your data with byola_diff.audio.normalize.corpus_statistics"
        )
    mean, std = map(float, statistics)
    log_mel = LogMel(**{"n_mels": network.n_mels, **(front_end or {})})
    return AudioEncoder(log_mel, Normalize(mean, std), network)


def fill_bundle(
    folder: Path,
    encoder: AudioEncoder,
    *,
    name: str,
    training: Mapping[str, Any],
    steps: int | None = None,
    data: str = "not stated",
    licence: str = "not stated",
    commit: str | None = None,
    half: bool = False,
) -> None:
    """Write the three files of a bundle into an existing folder, mostly one of `whole_folder`.

    The model card has the name, the configuration of the pretraining run (plain values only), its
    optimiser steps and data, the licence of the weights, and the commit of the code that trained
    them. If `half`, kernels and matrices are kept in half precision, for files of half the size:
    what is loaded is float32 again; embeddings move by some 1e-3 of their size.
    """
    weights = folder / "model.safetensors"
    # Not save_file, which gives the file to its owner alone, whatever the umask.
    weights.write_bytes(save(_kept_state(encoder.network, half)))
    mean, std = encoder.normalize.mean.item(), encoder.normalize.std.item()
    config = {
        "format_version": FORMAT_VERSION,
        "front_end": encoder.log_mel.settings(),
        "statistics": {"mean": mean, "std": std},
        "encoder": {"name": type(encoder.network).__name__, "dim": encoder.network.dim},
        "frame_spacing_ms": encoder.frame_spacing_ms,
        "steps": steps,
        "data": data,
        "licence": licence,
        "commit": commit,
        "training": training,
        "weights_sha256": sha256(weights),
    }
    (folder / "config.json").write_text(sealed_json(config), encoding="utf-8")
    (folder / "README.md").write_text(_model_card(name, config), encoding="utf-8")


def _kept_state(network: nn.Module, half: bool) -> dict[str, Tensor]:
    state = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    if not half:
        return state
    # Statistics, biases and counters are few, and a variance may lie beyond float16.
    return {key: value.half() if value.ndim > 1 else value for key, value in state.items()}


def _model_card(name: str, config: Mapping[str, Any]) -> str:
    weight = config["training"].get("objective", {}).get("difference_weight")
    facts = {
        **config["front_end"],
        **config["statistics"],
        "encoder": config["encoder"]["name"],
        "dim": config["encoder"]["dim"],
        "spacing_ms": config["frame_spacing_ms"],
        "method": "BYOL-A with the difference loss" if weight else "BYOL-A",
        "weight": "not stated" if weight is None else weight,
        "steps": "not stated" if config["steps"] is None else config["steps"],
        "data": config["data"],
        "licence": config["licence"],
        "commit": config["commit"] or "not recorded",
        "training": json.dumps(config["training"], indent=2),
    }
    template = Path(__file__).with_name("model_card.template").read_text(encoding="utf-8")
    return template.format(name=name, **facts)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Temporary folder beside `folder`, flushed and renamed to it when the block ends well.

    Raises:
        FileExistsError: If `folder` holds anything.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists and is not empty: choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for path in temporary.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if folder.is_dir():
            folder.rmdir()  # empty, as checked above: not every system renames onto a folder
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def assembled(
    network: AudioNTT,
    config: Mapping[str, Any],
    statistics: Mapping[str, Any],
    path: Path,
    prefix: str = "",
) -> AudioEncoder:
    """The encoder of a network, with the front end of `config` and "mean" and "std" of statistics.

    Raises:
        BrokenFileError: If the configuration is of another network, or can't be used.
    """
    stated, found = config.get("encoder"), {"name": type(network).__name__, "dim": network.dim}
    if not isinstance(stated, Mapping) or any(stated.get(key) != found[key] for key in found):
        raise BrokenFileError(path, f"says encoder {stated}, but the weights are {found}")
    try:
        mean, std = (float(statistics[f"{prefix}{name}"]) for name in ("mean", "std"))
        return AudioEncoder(LogMel(**config["front_end"]), Normalize(mean, std), network)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"front end or statistics cannot be used: {error!r}"
        raise BrokenFileError(path, reason) from error


def _load_bundle(folder: Path) -> AudioEncoder:
    config_path, weights_path = folder / "config.json", folder / "model.safetensors"
    for path in (config_path, weights_path):
        if not path.is_file():
            reason = f"no bundle: {path.name} is missing; `python -m byola_diff.export` makes one"
            raise BrokenFileError(folder, reason)
    config = read_json(config_path)
    version = config.get("format_version")
    if version not in (1, FORMAT_VERSION):
        reason = f"bundle format {version!r} is unknown, this release reads 1 and {FORMAT_VERSION}"
        raise BrokenFileError(config_path, reason)
    check_seal(config_path, config_path.read_bytes(), required=version != 1)
    if not config.get("statistics"):
        reason = "has no normalisation statistics: export the bundle again from its checkpoint"
        raise BrokenFileError(config_path, reason)
    missing = sorted({"front_end", "encoder", "weights_sha256"} - config.keys())
    if missing:
        raise BrokenFileError(config_path, f"lacks {missing}")
    if sha256(weights_path) != config["weights_sha256"]:
        reason = "its content does not match its SHA-256: truncated or altered"
        raise BrokenFileError(weights_path, reason)
    network = build_network(read_safetensors(weights_path), weights_path)
    return assembled(network, config, config["statistics"], config_path)
