"""Training checkpoint to a bundle, with the weights as `.pth` and, if asked, ONNX beside it.

python -m byola_diff.export runs/byola_v2/checkpoints/last.ckpt bundles/byola_v2 --licence CC-BY-4.0
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from byola_diff.command_line import exit_status, read_options
from byola_diff.config import DataConfig
from byola_diff.deploy import bundle_facts, deploy
from byola_diff.models.bundle import assembled, fill_bundle, whole_folder
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.weights import build_network, select_weights
from byola_diff.option_fields import POSITIONAL
from byola_diff.storage import BrokenFileError, load_checked, save_checked


def export(
    checkpoint: Path,
    out: Path,
    onnx: bool = False,
    licence: str = "not stated",
    data: str | None = None,
    datasets: Sequence[str] = (),
    half: bool = False,
) -> list[Path]:
    """Write the bundle of a training checkpoint; returns its files.

    The arguments are the fields of `ExportOptions`. `out` appears whole or not at all. Without
    `data`, that part of the configuration describes it. With `half`, the bundle holds kernels and
    matrices in half precision, and no `.pth`.

    Raises:
        FileNotFoundError: If there is no checkpoint.
        BrokenFileError: If it is altered, or no checkpoint of pretraining.
        FileExistsError: If `out` holds anything.
        ValueError: If it is the folder that this process works in, or weights are too large for
            `half` precision.
        ModuleNotFoundError: If ONNX is asked for and its packages are not installed.
    """
    content = load_checked(checkpoint)
    encoder = encoder_from_checkpoint(content, checkpoint)
    config = content["config"]
    facts = {
        "steps": content.get("global_step"),
        "data": data or json.dumps(config.get("data", "not stated")),
        "datasets": datasets,
        "licence": licence,
        "commit": content.get("commit"),
        "training": config,
    }
    with whole_folder(out) as temporary:
        fill_bundle(temporary, encoder, name=out.name, half=half, **facts)
        if not half:
            state = encoder.network.state_dict()
            weights = {key: value.contiguous() for key, value in state.items()}
            save_checked(weights, temporary / f"{weights_name(encoder, config)}.pth")
        if onnx:
            facts = bundle_facts(temporary) | {"name": out.name}
            deploy(encoder, temporary / "encoder.onnx", facts=facts)
    return sorted(out.iterdir())


def encoder_from_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> AudioEncoder:
    """Online encoder of a training checkpoint, with its front end and statistics.

    Raises:
        BrokenFileError: If something is missing, or weights and configuration disagree.
    """
    config, state = checkpoint.get("config"), checkpoint.get("state_dict")
    if not isinstance(config, Mapping) or not isinstance(state, Mapping):
        raise BrokenFileError(path, 'holds no "config" and "state_dict": no training checkpoint')
    network = build_network(select_weights(state, "pair.online.encoder."), path)
    return assembled(network, config, state, path, prefix="normalize.")


def weights_name(encoder: AudioEncoder, config: Mapping[str, Any]) -> str:
    """Name in the way of the released files: network, method, mel bands x frames, dimension."""
    method = "BYOLA-DIFF" if config.get("objective", {}).get("difference_weight") else "BYOLA"
    network, front_end = encoder.network, encoder.log_mel
    unit_s = config.get("data", {}).get("unit_s", DataConfig.unit_s)
    n_frames = 1 + round(unit_s * front_end.sample_rate) // front_end.hop_samples
    return f"{type(network).__name__}-{method}-{network.n_mels}x{n_frames}d{network.dim}"


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What is written of which checkpoint."""

    checkpoint: Annotated[Path, POSITIONAL]
    """Checkpoint written by training."""
    out: Annotated[Path, POSITIONAL]
    """Folder to write: new, or empty."""
    onnx: bool = False
    """Write ONNX too (waveform to scene embedding), as `deploy` does."""
    licence: str = "not stated"
    """Licence of the weights."""
    data: str | None = None
    """What the training data was, for the model card."""
    datasets: list[Annotated[str, "OWNER/NAME"]] = field(default_factory=list)
    """Data sets on the Hugging Face hub that it was trained on, for the model card."""
    half: bool = False
    """Half precision, for small files."""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m byola_diff.export") -> int:
    """Exit status: 0 for a bundle that is written, 2 for a checkpoint that can't be exported."""
    about = "Write a checkpoint as a bundle: weights, front end, statistics, model card."
    options = read_options(ExportOptions, arguments, prog=prog, description=about)
    errors = (OSError, ValueError, BrokenFileError, ModuleNotFoundError)
    return exit_status(prog, lambda: _export(options), errors)


def _export(options: ExportOptions) -> None:
    for path in export(**vars(options)):
        n_bytes = path.stat().st_size
        scale, unit = (1e6, "MB") if n_bytes >= 1e5 else (1e3, "kB")
        print(f"{path}  {n_bytes / scale:.1f} {unit}")
    print(
        f'Load it with:\n  encoder = byola_diff.load_encoder("{options.out}")\n'
        "  embedding = encoder.scene(waveform)  # [batch, sample] -> [batch, dim]"
    )


if __name__ == "__main__":
    sys.exit(main())
