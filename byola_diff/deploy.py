"""Write an encoder as one file that runs without this package: ONNX, or a program of torch.export.

    python -m byola_diff.deploy byola-diff encoder.onnx
    python -m byola_diff.deploy runs/mine/bundle encoder.pt2 --output timestamps --weights int8

Waveforms in, embeddings out, of any batch and length; see docs/deploy.md.
"""

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import torch
from torch import nn
from torch.fx.experimental import _config as shape_settings

from byola_diff.atomic import atomic_path
from byola_diff.command_line import exit_status, read_options
from byola_diff.commit import package_versions
from byola_diff.models.bundle import load_encoder, place_of
from byola_diff.models.deployed import DeployedScene, DeployedTimestamps, StoredWeights
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.hub import HUB
from byola_diff.option_fields import POSITIONAL
from byola_diff.optional import require
from byola_diff.storage import BrokenFileError, read_json

Output = Literal["scene", "timestamps"]

OPSET = 21
"""Version of ONNX's operators: the newest of onnxruntime 1.20, the oldest that we support."""

METADATA = "metadata.json"
"""Extra file of a `.pt2` with what an ONNX file has as its metadata."""

_NAMES: Mapping[Output, tuple[str, ...]] = {
    "scene": ("scene_embedding",),
    "timestamps": ("timestamp_embeddings", "centers_ms"),
}
_FIXED = "embedding_size"
_AXES = {
    "waveform": ("batch", "sample"),
    "scene_embedding": ("batch", _FIXED),
    "timestamp_embeddings": ("batch", "frame", _FIXED),
    "centers_ms": ("batch", "frame"),
}


def deploy(
    encoder: AudioEncoder,
    path: Path,
    output: Output = "scene",
    weights: StoredWeights = "float32",
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write an encoder to a file that ends in `.onnx` or `.pt2`, whole or not at all.

    Args:
        encoder: One of `load_encoder`.
        path: The file, which is replaced if it is there.
        output: What it gives: `scene(waveform)`, or both parts of `timestamps(waveform)`.
        weights: How the matrices of linear layers are kept; all is computed in float32.
        facts: Name, licence and the like, for the metadata.

    Raises:
        ValueError: If the file ends otherwise, or weights lie beyond float16 that is asked for.
        TypeError: If the encoder is not an `AudioEncoder` itself.
        ModuleNotFoundError: If onnx or onnxscript is needed and not installed.
    """
    check_ending(path)
    for module in ("onnx", "onnxscript") if path.suffix == ".onnx" else ():
        require(module, "onnx", "ONNX export")
    kind = {"scene": DeployedScene, "timestamps": DeployedTimestamps}[output]
    graph = kind(encoder, weights)
    metadata = _metadata(encoder, output, weights, facts or {})
    with atomic_path(path) as temporary, _quiet():
        program = _captured(graph)
        if path.suffix == ".onnx":
            _write_onnx(program, temporary, _NAMES[output], metadata)
        else:
            _write_pt2(program, temporary, metadata)


def check_ending(path: Path) -> None:
    """Raise a ValueError unless the file is to be `.onnx` or `.pt2`."""
    if path.suffix not in (".onnx", ".pt2"):
        raise ValueError(f"{path} must end in .onnx or .pt2, which says what is written")


def _metadata(
    encoder: AudioEncoder, output: Output, weights: StoredWeights, facts: Mapping[str, str]
) -> dict[str, str]:
    """What someone who has nothing but the file must know."""
    return {
        **facts,
        "input": f"{_described('waveform')}: mono, float32, in [-1, 1], at sample_rate; NaN and "
        "infinite samples are not refused",
        "output": f"{_described(*_NAMES[output])}: float32",
        "sample_rate": str(encoder.sample_rate),
        "embedding_size": str(encoder.scene_embedding_size),
        "frame_spacing_ms": str(encoder.frame_spacing_ms),
        "shortest_samples": str(encoder.samples_for(1)),
        "length": "any: shorter input than shortest_samples gets zeros on the right; all of it is "
        "read in one pass, which bounds the length by the memory alone",
        "log_mel_mean": str(encoder.normalize.mean.item()),
        "log_mel_std": str(encoder.normalize.std.item()),
        "weights": weights,
        "byola_diff": _version(),
    }


def _described(*names: str) -> str:
    return ", ".join(f"{name} [{', '.join(_AXES[name])}]" for name in names)


def _version() -> str:
    return package_versions(["byola-diff"])["byola-diff"] or "not installed"


@contextmanager
def _quiet() -> Iterator[None]:
    """Within, nothing is said of what torch's exporters will change or miss."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _captured(graph: nn.Module) -> torch.export.ExportedProgram:
    """The graph for every batch and length, one clip and one sample among them."""
    free = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("sample", min=1)}
    # As in torch's own exporter to ONNX: else a size that is 1 at times is refused.
    with shape_settings.patch(  # pyright: ignore[reportAttributeAccessIssue]
        backed_size_oblivious=True
    ):
        return torch.export.export(
            graph, (torch.zeros(2, 16_000),), dynamic_shapes={"waveform": free}
        )


def _write_onnx(
    program: torch.export.ExportedProgram,
    path: Path,
    names: Sequence[str],
    metadata: Mapping[str, str],
) -> None:
    written = torch.onnx.export(
        program,
        input_names=["waveform"],
        output_names=names,
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert written is not None
    for value in (*written.model.graph.inputs, *written.model.graph.outputs):
        assert value.shape is not None
        for axis, size in enumerate(_AXES[str(value.name)]):
            if size != _FIXED:
                value.shape[axis] = size
    written.model.metadata_props.update(metadata)
    written.model.producer_name, written.model.producer_version = "byola_diff", _version()
    written.save(path, external_data=False)


def _write_pt2(
    program: torch.export.ExportedProgram, path: Path, metadata: Mapping[str, str]
) -> None:
    content = io.BytesIO()  # torch asks for the ending .pt2, which a temporary file lacks
    torch.export.save(program, content, extra_files={METADATA: json.dumps(metadata, indent=2)})
    path.write_bytes(content.getvalue())


@dataclass(frozen=True, kw_only=True)
class DeployOptions:
    """What is written of which encoder."""

    encoder: Annotated[str, POSITIONAL, "ENCODER"]
    """A bundle folder, hf:OWNER/NAME of the Hugging Face hub, or a name that comes along."""
    file: Annotated[Path, POSITIONAL, "FILE"]
    """What to write: .onnx, or .pt2 for torch.export."""
    output: Output = "scene"
    """One embedding per clip, or embeddings over time with their centres in ms."""
    weights: StoredWeights = "float32"
    """How the linear layers are kept; all is computed in float32."""

    def __post_init__(self) -> None:
        check_ending(self.file)


def main(arguments: Sequence[str] | None = None, prog: str = "python -m byola_diff.deploy") -> int:
    """Write what the command line asks for; the exit status is 2 if that can't be done."""
    about = "Write an encoder as one file that runs without this package: waveform in."
    options = read_options(DeployOptions, arguments, prog=prog, description=about)
    errors = (OSError, BrokenFileError, ModuleNotFoundError, ValueError)
    return exit_status(prog, partial(run, options), errors)


def run(options: DeployOptions) -> None:
    """Load, write, and say what was written.

    Raises:
        FileNotFoundError: If there is no such encoder.
        BrokenFileError: If its files can't be used.
        ValueError: If it is a file of weights alone.
        ModuleNotFoundError: If a package is needed and not installed.
        PermissionError, ConnectionError: As of `fetch_bundle`, of an encoder of the hub.
    """
    folder = place_of(options.encoder)
    encoder = load_encoder(folder)
    facts = bundle_facts(folder)
    if options.encoder.startswith(HUB):  # whose folder is named by a commit
        facts["name"] = options.encoder
    deploy(encoder, options.file, options.output, options.weights, facts)
    n_bytes = options.file.stat().st_size
    print(f"{options.file}  {n_bytes / 1e6:.1f} MB, licence: {facts['licence']}")
    outputs = _described(*_NAMES[options.output])
    print(f"{_described('waveform')} at {encoder.sample_rate} Hz -> {outputs}")


def bundle_facts(folder: Path) -> dict[str, str]:
    """Name, licence and hash of the weights of a bundle, for the metadata."""
    config = read_json(folder / "config.json")
    return {
        "name": folder.name,
        "licence": str(config.get("licence", "not stated")),
        "weights_sha256": config["weights_sha256"],
    }


if __name__ == "__main__":
    raise SystemExit(main())
