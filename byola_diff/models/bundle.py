"""Bundle: a folder with all that an encoder needs, and its way back into an `AudioEncoder`.

model.safetensors    weights of the network, under the released names
config.json          front end, corpus statistics, architecture, training, licence, hashes
README.md            model card
"""

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
from byola_diff.models.hub import HUB, fetch_bundle, upload
from byola_diff.models.model_card import card_on_hub, model_card
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
    """Encoder by the name of a shipped one, from a bundle, or from a `.pth` of BYOL-A.

    The names are those of `byola_diff.models.shipped`; a folder of such a name is `./byola-diff`. A
    bundle is a folder, or `hf:OWNER/NAME` on the Hugging Face hub, `hf:OWNER/NAME@REVISION` for one
    branch, tag or commit: only such a word downloads anything (see `models.hub.fetch_bundle`, whose
    errors it adds). A `.pth` holds weights alone: it needs the statistics, mean and standard
    deviation of the log-mels of its training data, and may be given arguments of `LogMel` for its
    front end; what is left out is as in BYOL-A (1024-sample window, 60 to 7800 Hz).

    Raises:
        FileNotFoundError: If there is nothing at `path`.
        BrokenFileError: If the files are incomplete, altered, of another format or architecture, or
            could run code.
        ValueError: If `statistics` are missing, or a bundle, which has its own, is given some.
    """
    path = place_of(path)
    if path.is_dir():
        if statistics is not None or front_end is not None:
            raise ValueError(f"{path} is a bundle with its own statistics and front end: pass none")
        return _load_bundle(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"nothing at {path}: give a bundle folder (byola-diff export CHECKPOINT OUT "
            "writes one), hf:OWNER/NAME, a .pth file of BYOL-A weights, or the name of a shipped "
            "encoder: " + ", ".join(SHIPPED)
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


def place_of(word: str | Path) -> Path:
    """Where the encoder of a word lies: a shipped one, one of the hub, now fetched, or a path.

    Errors of the hub are those of `fetch_bundle`.
    """
    if isinstance(word, str) and word.startswith(HUB):
        return fetch_bundle(word)
    return shipped_bundle(word) or Path(word).expanduser()


def push_to_hub(bundle: str | Path, repository: str, private: bool = False) -> str:
    """Upload a bundle to the Hugging Face hub; returns the word that loads just this upload.

    The bundle, a folder or the name of a shipped encoder, is first read as `load_encoder` does.
    Its three files become one commit of the repository OWNER/NAME, which is made if it is not
    there. The model card gets the metadata of the hub if it has none.

    Raises:
        FileNotFoundError: If there is no such folder; or as of `hub.upload`.
        BrokenFileError: If it is no bundle, or broken.
        ValueError, ModuleNotFoundError, PermissionError, ConnectionError: As of `hub.upload`.
    """
    folder = shipped_bundle(bundle) or Path(bundle).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"no bundle folder at {folder}")
    _load_bundle(folder)
    path = folder / "README.md"
    if not path.is_file():
        raise BrokenFileError(folder, "its model card, README.md, is missing")
    config, card = read_json(folder / "config.json"), path.read_text(encoding="utf-8")
    text = card_on_hub(card, config, repository)
    files = {name: folder / name for name in ("config.json", "model.safetensors")}
    commit = upload(repository, {**files, "README.md": text.encode()}, private)
    return f"{HUB}{repository}@{commit}"


def fill_bundle(
    folder: Path,
    encoder: AudioEncoder,
    *,
    name: str,
    training: Mapping[str, Any],
    steps: int | None = None,
    data: str = "not stated",
    datasets: Sequence[str] = (),
    licence: str = "not stated",
    commit: str | None = None,
    half: bool = False,
) -> None:
    """Write the three files of a bundle into an existing folder, mostly one of `whole_folder`.

    The model card has the name, the configuration of the pretraining run (plain values only), its
    optimiser steps and data, those data sets that the Hugging Face hub has by their names there,
    the licence of the weights, and the commit of the code that trained them. If `half`, kernels and
    matrices are kept in half precision, for files of half the size: what is loaded is float32
    again; embeddings move by some 1e-3 of their size.
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
        "datasets": list(datasets),
        "licence": licence,
        "commit": commit,
        "training": training,
        "weights_sha256": sha256(weights),
    }
    (folder / "config.json").write_text(sealed_json(config), encoding="utf-8")
    (folder / "README.md").write_text(model_card(name, config), encoding="utf-8")


def _kept_state(network: nn.Module, half: bool) -> dict[str, Tensor]:
    state = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    if not half:
        return state
    # Statistics, biases and counters are few, and a variance may lie beyond float16.
    halved = {key: value.half() if value.ndim > 1 else value for key, value in state.items()}
    for key, value in halved.items():
        if not value.isfinite().all():
            raise ValueError(f"{key} is too large for half precision: leave out --half")
    return halved


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Temporary folder beside `folder`, flushed and renamed to it when the block ends well.

    Raises:
        FileExistsError: If `folder` holds anything.
        ValueError: If it is the folder that this process works in.
    """
    if not folder.name:
        raise ValueError(f"{folder} would be replaced: name a folder in it")
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
            reason = f"no bundle: {path.name} is missing; `byola-diff export` makes one"
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
