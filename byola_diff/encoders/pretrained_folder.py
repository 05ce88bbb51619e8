"""Networks of the transformers library, from a folder or its download cache, never the network.

A folder holds config.json, model.safetensors (or pytorch_model.bin, read by the safe loader) and
mostly preprocessor_config.json. The library only warns of weights that it does not find and leaves
them random; here everything that does not fit is an error.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from byola_diff.models.weights import WeightsSource, listed
from byola_diff.optional import require
from byola_diff.storage import BrokenFileError, load_fault, read_json

SAMPLE_RATE = 16_000
"""Hz; of all models read here."""
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def transformers() -> Any:
    """The transformers library; a ModuleNotFoundError if it is not installed."""
    return require("transformers", "evaluate", "reading AST, wav2vec 2.0, HuBERT or DistilBERT")


def find_folder(weights: Path | str, source: WeightsSource) -> Path:
    """The folder itself, or where the download cache keeps the model of that name.

    Raises:
        FileNotFoundError: If there is neither, or the folder lacks config.json or weights.
    """
    transformers()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    advice, folder = f"{source.model} needs {source.file}, from {source.source}", Path(weights)
    try:
        if not folder.is_dir():
            folder = Path(snapshot_download(str(weights), local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        raise FileNotFoundError(
            f"no folder and no model in the download cache called {str(weights)!r}: {advice}"
        ) from None
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} has no config.json: {advice}")
    shards = [f"{name}.index.json" for name in _WEIGHTS]
    if not any((folder / name).is_file() for name in (*_WEIGHTS, *shards)):
        raise FileNotFoundError(f"{folder} has neither {' nor '.join(_WEIGHTS)}: {advice}")
    return folder


def read_settings(folder: Path, model_type: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Content of config.json and of preprocessor_config.json, {} where there is no such file.

    Raises:
        BrokenFileError: If a file cannot be read, is of another architecture than `model_type`, or
            of another sampling rate.
    """
    config = read_json(folder / "config.json")
    found = config.get("model_type")
    if found != model_type:
        reason = f"is of a model of type {found!r}, not {model_type!r}"
        raise BrokenFileError(folder / "config.json", reason)
    path = folder / "preprocessor_config.json"
    preprocessor = read_json(path) if path.is_file() else {}
    rate = preprocessor.get("sampling_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise BrokenFileError(path, f"is of a model for {rate} Hz; only {SAMPLE_RATE} Hz are read")
    return config, preprocessor


def read_network(folder: Path, **changes: Any) -> nn.Module:
    """The network of a folder in float32, its configuration altered by `changes`.

    Raises:
        BrokenFileError: If configuration and weights do not fit each other or the architecture, or
            a weight is NaN or infinite.
    """
    try:
        config = transformers().AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        config.update(changes)
    except Exception as error:  # what it raises depends on the entry that is wrong
        raise BrokenFileError(folder / "config.json", str(error)) from error
    return build_network(config, folder)


def build_network(
    config: Any, path: Path, weights: Mapping[str, Tensor] | None = None
) -> nn.Module:
    """As `read_network`, of a configuration and, if they are given, weights read from `path`."""
    network_class = transformers().MODEL_MAPPING[type(config)]
    try:
        with _quiet():
            network, report = network_class.from_pretrained(
                path if weights is None else None,
                config=config,
                state_dict=None if weights is None else dict(weights),
                local_files_only=True,
                weights_only=True,
                output_loading_info=True,
                attn_implementation="sdpa",
            )
    except Exception as error:  # from pickle, safetensors or the library, depending on the fault
        reason = f"not the weights of a {network_class.__name__} ({load_fault(error)})"
        raise BrokenFileError(path, reason) from error
    _check(network, report, path)
    return network.float()


def _check(network: nn.Module, report: Mapping[str, Any], path: Path) -> None:
    # Weights of a head that sits on the network are of no use here; unknown ones inside it are a
    # sign of another architecture.
    prefix = f"{network.base_model_prefix}."
    inside = {name for name, _ in network.named_children()} | {"encoder"}
    unknown = sorted(
        name
        for name in report["unexpected_keys"]
        if name.removeprefix(prefix).split(".")[0] in inside
    )
    for names, fault in ((sorted(report["missing_keys"]), "lacks"), (unknown, "has unknown")):
        if names:
            question = "Is it of another architecture or incomplete?"
            raise BrokenFileError(path, f"{fault} weights: {listed(names)}. {question}")
    weights = network.state_dict()
    broken = [name for name, weight in weights.items() if not weight.isfinite().all()]
    if broken:
        raise BrokenFileError(path, f"holds NaN or infinite weights: {listed(broken)}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's progress bar and report: what the report says is checked instead."""
    log = transformers().utils.logging
    verbosity, has_bar = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if has_bar:
            log.enable_progress_bar()
