r"""Evaluate frozen encoders: linear probe, additivity of differences, plain embeddings.

    python evaluate.py linear --encoder runs/demo/weight_0.5/bundle --manifest data/manifest.csv
    python evaluate.py additivity --encoder runs/demo/weight_0.5/bundle
    python evaluate.py embed --encoder runs/demo/weight_0.5/bundle --manifest data/manifest.csv \
        --out embeddings.npy

An encoder is a bundle folder, `untrained:BUNDLE` (random weights, all else as in the bundle) or
`untrained:AudioNTT2022:3072` (statistics from the manifest). Several, with commas between, make one
table. Each score is also written as a JSON record.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from byola_diff.atomic import atomic_path
from byola_diff.audio.files import AudioFileError
from byola_diff.data.manifest import Manifest, read_manifest
from byola_diff.evaluation.additivity import measure_additivity, procedural_events
from byola_diff.evaluation.encoders import NamedEncoder, open_encoder
from byola_diff.evaluation.extract import embed_clips
from byola_diff.evaluation.probe_manifest import check_probe, probe_manifest
from byola_diff.evaluation.scores import score_record, write_record
from byola_diff.storage import BrokenFileError, sha256

# Told without a traceback.
USER_ERRORS = (AudioFileError, BrokenFileError, ModuleNotFoundError, OSError, ValueError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except USER_ERRORS as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 2
    return 0


def linear(options: argparse.Namespace) -> None:
    """Accuracy of a linear probe, on the test split or over the folds."""
    manifest = read_manifest(options.manifest)
    check_probe(manifest)
    # With the name of the file: manifests of one folder must not replace each other's records.
    task = "/".join([options.manifest.resolve().parent.name, options.manifest.stem])
    settings = {"manifest_sha256": sha256(options.manifest)}
    for word in options.encoder:
        start = time.monotonic()
        named = _open(word, options, manifest)
        embeddings = embed_clips(
            named.encoder, manifest, batch_size=options.batch_size, device=options.device
        )
        accuracies = probe_manifest(embeddings.numpy(), manifest)
        _report("linear", task, named, {"accuracy": accuracies}, settings, start, options)


def additivity(options: argparse.Namespace) -> None:
    """Cosine and recall@1 of movements, over procedural events."""
    for word in options.encoder:
        start = time.monotonic()
        named = _open(word, options)
        settings = {
            "n_events": options.events,
            "snr_db": options.snr_db,
            "duration_s": options.duration_s,
        }
        cosines, recalls = {}, {}
        for seed in options.seeds:
            mixed = procedural_events(
                seed=seed, sample_rate=named.encoder.sample_rate, **settings
            ).to(options.device)
            score = measure_additivity(named.encoder.scene, mixed, options.batch_size)
            cosines[f"seed {seed}"], recalls[f"seed {seed}"] = score.cosine, score.recall_at_1
        scores = {"cosine": cosines, "recall@1": recalls}
        _report("additivity", "procedural", named, scores, settings, start, options)


def embed(options: argparse.Namespace) -> None:
    """Embeddings of all clips, float32 [clip, dim], in the order of the manifest."""
    if len(options.encoder) > 1:
        raise ValueError("embed takes one encoder")
    manifest = read_manifest(options.manifest)
    named = _open(options.encoder[0], options, manifest)
    embeddings = embed_clips(
        named.encoder, manifest, batch_size=options.batch_size, device=options.device
    )
    with atomic_path(options.out) as temporary, temporary.open("wb") as file:
        np.save(file, embeddings.numpy())
    print(f"{tuple(embeddings.shape)} written to {options.out}")


def _open(word: str, options: argparse.Namespace, manifest: Manifest | None = None) -> NamedEncoder:
    named = open_encoder(word, manifest)
    named.encoder.to(options.device)
    return named


def _report(
    protocol: str,
    task: str,
    named: NamedEncoder,
    scores: dict[str, dict[str, float]],
    settings: dict[str, Any],
    start: float,
    options: argparse.Namespace,
) -> None:
    record = score_record(protocol, task, named, scores, settings, time.monotonic() - start)
    path = write_record(options.out, record)
    for metric, score in record["scores"].items():
        each = "  ".join(f"{name} {value:.4f}" for name, value in score["values"].items())
        spread = "" if score["ci95"] is None else f" ± {score['ci95']:.4f}"
        print(f"{named.name}  {task} {metric} {score['mean']:.4f}{spread}  ({each})")
    print(f"  record: {path}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for run in (linear, additivity, embed):
        verb = verbs.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        verb.set_defaults(run=run)
        verb.add_argument(
            "--encoder", type=lambda text: text.split(","), required=True, metavar="PATH[,PATH]"
        )
        verb.add_argument("--batch-size", type=_positive, default=32)
        verb.add_argument("--device", type=_device, default="cpu", help="such as cuda")
        if run is not additivity:
            verb.add_argument("--manifest", type=Path, required=True, metavar="CSV")
        if run is embed:
            verb.add_argument("--out", type=Path, required=True, metavar="NPY")
        else:
            verb.add_argument(
                "--out", type=Path, default=Path("runs/scores"), help="folder of the JSON records"
            )
        if run is additivity:
            verb.add_argument("--events", type=int, default=200)
            verb.add_argument("--snr-db", type=float, default=0.0)
            verb.add_argument("--duration-s", type=float, default=2.0)
            verb.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
        verb.epilog = f"example: {_EXAMPLES[run.__name__]}"
    return parser


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no positive whole number")
    return int(word)


def _device(word: str) -> torch.device:
    try:
        return torch.empty(0, device=word).device
    except (AssertionError, RuntimeError) as error:  # depends on how torch was built
        raise argparse.ArgumentTypeError(
            f"{word!r} can't be used here: {str(error).splitlines()[0]}"
        ) from error


_EXAMPLES = {
    "linear": "python evaluate.py linear --manifest data/esc50/manifest.csv "
    "--encoder runs/demo/weight_0.5/bundle,untrained:AudioNTT2022:3072",
    "additivity": "python evaluate.py additivity --encoder runs/demo/weight_0.5/bundle",
    "embed": "python evaluate.py embed --encoder runs/demo/weight_0.5/bundle "
    "--manifest data/esc50/manifest.csv --out embeddings.npy",
}


if __name__ == "__main__":
    sys.exit(main())
