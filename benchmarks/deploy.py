"""What a deployed encoder loses and gains: size, error, speed on a CPU, and accuracy of a probe.

    python benchmarks/deploy.py                                  # procedural sounds: no accuracy
    python benchmarks/deploy.py --manifest esc10/manifest.csv    # the probe too: minutes

The files of `byola-diff deploy`, and what onnxruntime's own quantization makes of the float32 one:
"dynamic" takes whole numbers for inputs and weights of linear layers, with one scale for all that
is in the batch; "static" those of convolutions too, with scales from 32 procedural sounds. The
front end stays in float32. Errors are of scene embeddings against PyTorch: the length of the
difference over that of the embedding, and the cosine. Speed: clips of 5 s one by one, each variant
in turn for several rounds, by the time of the processor, which other programs change little; ratios
are medians over the rounds. The probe is that of `--protocol logistic`, on all folds.
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor

from byola_diff.deploy import deploy
from byola_diff.embeddings.batches import plan_batches, read_batches
from byola_diff.models.bundle import load_encoder
from byola_diff.models.encoder import AudioEncoder
from byola_diff.probing.logistic import probe_manifest
from byola_diff.sounds import training_batch
from byola_diff.tables.manifest import Manifest, read_manifest
from byola_diff.tables.preprocessing import Preprocessing

CLIP_S, BATCH, CALIBRATION_CLIPS = 5, 8, 32
REFERENCE = "PyTorch"
VARIANTS = (
    *(REFERENCE, ".onnx float32", ".onnx float16", ".onnx int8", ".pt2 float32"),
    *("onnxruntime dynamic", "onnxruntime static"),
)
FORMS = {
    "megabytes": "8.1f",
    "largest error": "10.1e",
    "mean error": "10.1e",
    "lowest cosine": "10.6f",
    "clips/s": "9.1f",
    "speed ratio": "8.2f",
    "accuracy": "10.4f",
}
"""Columns of the table."""


class Variant(NamedTuple):
    """One way to run an encoder."""

    embed: Callable[[Tensor], Tensor]
    n_bytes: int


class Clips(NamedTuple):
    """Waveforms of one length together, and which clips of the manifest they are."""

    rows: list[int]
    waveforms: Tensor


def main() -> None:
    """Measure each encoder, print rows as they come, and write them as JSON if asked."""
    options = _options()
    torch.set_num_threads(options.threads)
    manifest = None if options.manifest is None else read_manifest(options.manifest)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for name in options.encoders:
        encoder = load_encoder(name)
        batches = list(clips_of(manifest, encoder.sample_rate))
        with tempfile.TemporaryDirectory() as folder:
            variants = {
                variant: make_variant(variant, encoder, Path(folder), options.threads)
                for variant in dict.fromkeys([REFERENCE, *options.variants])
            }
            columns = [each for each in FORMS if manifest is not None or each != "accuracy"]
            print(f"\n{name:22}  " + "  ".join(columns), flush=True)
            table[name] = measure(variants, batches, manifest, options)
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")


def clips_of(manifest: Manifest | None, rate: int) -> Iterator[Clips]:
    """All clips of the manifest, or else 64 procedural sounds."""
    if manifest is None:
        for rows in torch.arange(1000, 1064).split(BATCH):
            yield Clips([], training_batch(0, rows, CLIP_S * rate, rate))
        return
    whole = Preprocessing()
    batches = plan_batches(manifest, range(len(manifest.clips)), rate, whole, BATCH, n_workers=1)
    for same, waveforms in read_batches(manifest, batches, rate, whole, n_workers=1):
        yield Clips(same, waveforms)


def make_variant(name: str, encoder: AudioEncoder, folder: Path, threads: int) -> Variant:
    """One of `VARIANTS`; its files are left in the folder, and used again if they are there."""
    if name == REFERENCE:
        return Variant(encoder.scene, 4 * sum(each.numel() for each in encoder.parameters()))
    kind, weights = name.split()
    if kind == "onnxruntime":
        path = folder / f"{weights}.onnx"
        quantize = {"dynamic": _quantize_dynamic, "static": _quantize_static}[weights]
        quantize(_prepared(encoder, folder), path, encoder.sample_rate)
    else:
        path = folder / f"{weights}{kind}"
        deploy(encoder, path, weights=weights)  # type: ignore[arg-type]
    embed = _program(path) if path.suffix == ".pt2" else _session(path, threads)
    return Variant(embed, path.stat().st_size)


def _prepared(encoder: AudioEncoder, folder: Path) -> Path:
    """The float32 file as onnxruntime wants it before it quantises."""
    path = folder / "prepared.onnx"
    if not path.exists():
        deploy(encoder, folder / "plain.onnx")
        quant_pre_process(folder / "plain.onnx", path, skip_symbolic_shape=True)
    return path


def _session(path: Path, threads: int) -> Callable[[Tensor], Tensor]:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])

    def embed(waveform: Tensor) -> Tensor:
        [embedding] = session.run(None, {"waveform": waveform.numpy()})
        return torch.from_numpy(embedding)

    return embed


def _program(path: Path) -> Callable[[Tensor], Tensor]:
    module = torch.export.load(path).module()
    return torch.no_grad()(module)


def _quantize_dynamic(source: Path, path: Path, sample_rate: int) -> None:
    del sample_rate
    quantization.quantize_dynamic(source, path, op_types_to_quantize=["MatMul"], per_channel=True)


def _quantize_static(source: Path, path: Path, sample_rate: int) -> None:
    sounds = training_batch(
        0, torch.arange(CALIBRATION_CLIPS), CLIP_S * sample_rate, sample_rate
    ).split(1)
    quantization.quantize_static(
        source,
        path,
        _Sounds(sounds),
        op_types_to_quantize=["Conv", "MatMul"],
        nodes_to_exclude=list(_front_end_nodes(source)),
        activation_type=quantization.QuantType.QUInt8,
        per_channel=True,
    )


class _Sounds(quantization.CalibrationDataReader):
    def __init__(self, sounds: Sequence[Tensor]) -> None:
        self.remaining = iter(sounds)

    def get_next(self) -> dict[str, Any] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        sound = next(self.remaining, None)
        return None if sound is None else {"waveform": sound.numpy()}


def _front_end_nodes(path: Path) -> Iterator[str]:
    """The convolutions over time alone: by Fourier kernels, and by the mel bank."""
    graph = onnx.load(path).graph
    dims = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv" and dims[node.input[1]] == 3:
            yield node.name


def measure(
    variants: dict[str, Variant],
    batches: Sequence[Clips],
    manifest: Manifest | None,
    options: argparse.Namespace,
) -> dict[str, dict[str, float]]:
    """Figures of each variant, by their names."""
    seconds = seconds_of_rounds(variants, batches, options)
    expected, table = None, {}
    for name, variant in variants.items():
        found = torch.cat([variant.embed(batch.waveforms) for batch in batches])
        expected = found if expected is None else expected
        errors = (found - expected).norm(dim=1) / expected.norm(dim=1)
        cosine = torch.cosine_similarity(found.double(), expected.double())
        ratios = [a / b for a, b in zip(seconds[REFERENCE], seconds[name], strict=True)]
        table[name] = {
            "megabytes": variant.n_bytes / 1e6,
            "largest error": errors.max().item(),
            "mean error": errors.mean().item(),
            "lowest cosine": cosine.min().item(),
            "clips/s": options.speed_clips / statistics.median(seconds[name]),
            "speed ratio": statistics.median(ratios),
        }
        if manifest is not None:
            table[name]["accuracy"] = accuracy(found, batches, manifest)
        print_row(name, table[name])
    return table


def seconds_of_rounds(
    variants: dict[str, Variant], batches: Sequence[Clips], options: argparse.Namespace
) -> dict[str, list[float]]:
    """Processor seconds for the first clips one by one, in each round after one to warm up."""
    clips = torch.cat([batch.waveforms for batch in batches[: -(-options.speed_clips // BATCH)]])
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(1 + options.rounds):
        for name, variant in variants.items():
            start = time.process_time()
            for clip in clips[: options.speed_clips].split(1):
                variant.embed(clip)
            seconds[name].append(time.process_time() - start)
    return {name: values[1:] for name, values in seconds.items()}


def accuracy(embeddings: Tensor, batches: Sequence[Clips], manifest: Manifest) -> float:
    """Mean accuracy of the logistic probe over the folds."""
    rows = [row for batch in batches for row in batch.rows]
    in_order = embeddings[torch.tensor(rows).argsort()]
    return float(np.mean(list(probe_manifest(in_order.numpy(), manifest).values())))


def print_row(name: str, figures: dict[str, float]) -> None:
    """The figures of a variant, below those of a header."""
    cells = (f"{value:{FORMS[column]}}".rjust(len(column)) for column, value in figures.items())
    print(f"{name:22}  " + "  ".join(cells), flush=True)


def _options() -> argparse.Namespace:
    logging.getLogger().setLevel(logging.ERROR)  # advice of onnxruntime's quantization
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoders", nargs="+", default=["byola-diff", "byola-diff-small"])
    parser.add_argument("--variants", nargs="+", default=VARIANTS, choices=VARIANTS)
    parser.add_argument("--manifest", type=Path, help="clips with labels and folds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--speed-clips", type=int, default=16)
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
