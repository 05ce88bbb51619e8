"""From nothing to a trained, exported and probed encoder, on procedural sounds.

    python -m byola_diff.demo --out runs/demo

Renders a labelled corpus, pretrains without and with the difference term from one seed, exports
both, probes them and an untrained encoder, and writes a report. Run again after a stop, it goes on
where it was. Needs a checkout of the repository, for `train.py` and `datasets/`.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from byola_diff.atomic import write_text
from byola_diff.demo_report import demo_report
from byola_diff.embeddings.extract import ExtractionOptions, embed_clips
from byola_diff.encoders.byola import untrained_like
from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.additivity.embedded import additivity_of
from byola_diff.models.bundle import load_encoder
from byola_diff.probing.logistic import probe_manifest
from byola_diff.scores.write import score_record, write_record
from byola_diff.storage import BrokenFileError
from byola_diff.tables.manifest import read_manifest

WEIGHTS = ("0", "0.5")

_ROOT = Path(__file__).parents[1]
_N_CLIPS = 1200
_CLIP_S = 1.0
_N_EVENTS = 200


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m byola_diff.demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="optimiser steps, if not those of the config")
    parser.add_argument(
        "--config",
        type=Path,
        default=_ROOT / "configs/pretrain/demo.yaml",
        help="of the pretraining",
    )
    options = parser.parse_args()
    try:
        report = run_demo(options.out, options.seed, options.steps, options.config)
    except (StageError, BrokenFileError, ModuleNotFoundError, OSError) as error:
        parser.exit(1, f"demo: {error}\n")
    print(f"report: {report}")


class StageError(RuntimeError):
    """A stage of the demo failed; its own messages are above."""


def run_demo(out: Path, seed: int, steps: int | None, config: Path) -> Path:
    """All stages that are not done yet; returns the report.

    Raises:
        FileExistsError: If `out` holds a demo with other settings.
        FileNotFoundError: If the scripts of the repository are not there.
        ModuleNotFoundError: If a package is missing that a later stage needs.
        StageError: If a stage fails.
    """
    for needed in (_ROOT / "train.py", _ROOT / "datasets/make_sounds.py", config):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed} is missing: run the demo in a checkout")
    missing = [name for name in ("matplotlib", "sklearn", "tensorboard") if not find_spec(name)]
    if missing:
        raise ModuleNotFoundError(
            f"{', '.join(missing)} missing: pip install 'byola-diff[evaluate,log]'"
        )
    times: dict[str, float] = {}
    _claim(out, {"seed": seed, "steps": steps, "config": config.read_text(encoding="utf-8")})
    corpus = _make_corpus(out / "corpus", seed, times)
    for weight in WEIGHTS:
        _pretrain(out / f"weight_{weight}", weight, seed, steps, config, times)
    scores = _score(out, corpus, seed, times)
    with _stage("report", times):
        encoder = load_encoder(_bundle(out, WEIGHTS[-1]))
        training = json.loads((_bundle(out, WEIGHTS[-1]) / "config.json").read_text())["training"]
        metrics = {
            f"weight {weight}": _read_metrics(out / f"weight_{weight}") for weight in WEIGHTS
        }
        settings = {
            "seed": seed,
            "clips": len(read_manifest(corpus).in_split("test")),
            "events": _N_EVENTS,
            "steps": int(metrics[f"weight {WEIGHTS[0]}"]["step"][-1] or 0),
        }
        page = demo_report(scores, metrics, settings, encoder, training)
        write_text(out / "report.html", page)
    facts = {"settings": settings, "encoders": scores, "wall_s": times}
    write_text(out / "scores.json", json.dumps(facts, indent=2) + "\n")
    return (out / "report.html").resolve()


def _claim(out: Path, settings: dict[str, Any]) -> None:
    """Note the settings, so that a later call does not mix results of two."""
    path = out / "settings.json"
    if path.is_file():
        if json.loads(path.read_text()) != settings:
            raise FileExistsError(f"{out} holds a demo with other settings: choose another --out")
        return
    write_text(path, json.dumps(settings, indent=2) + "\n")


def _make_corpus(folder: Path, seed: int, times: dict[str, float]) -> Path:
    """Manifest of the labelled corpus."""
    manifest = folder / "manifest.csv"
    with _stage("corpus", times, done=manifest.is_file()) as to_do:
        if to_do:
            # Labelled clips come from other seeds than the stream of training clips.
            _run(
                _ROOT / "datasets/make_sounds.py",
                folder,
                *("--clips", _N_CLIPS, "--duration-s", _CLIP_S, "--seed", seed + 1000),
                *("--test-share", 0.4, "--valid-share", 0.1),
            )
    return manifest


def _pretrain(
    folder: Path,
    weight: str,
    seed: int,
    steps: int | None,
    config: Path,
    times: dict[str, float],
) -> None:
    """Run folder with a bundle in it: the last thing written, so it tells that the rest is done."""
    bundle = folder / "bundle"
    with _stage(f"pretrain, weight {weight}", times, done=bundle.is_dir()) as to_do:
        if not to_do:
            return
        # With "auto", a run that was stopped goes on, and one that was complete ends at once.
        options = ["--objective.difference_weight", weight, "--seed", seed, "--resume", "auto"]
        if steps is not None:
            options += ["--training.steps", steps]
        _run(_ROOT / "train.py", "--config", config, "--out_dir", folder, *options)
        checkpoint = folder / "checkpoints/last.ckpt"
        _run("-m", "byola_diff.export", checkpoint, bundle, "--data", "procedural sounds")


def _score(
    out: Path, corpus: Path, seed: int, times: dict[str, float]
) -> dict[str, dict[str, float]]:
    """Figures of each encoder by name; those found in records are not computed again."""
    trained = {weight: load_encoder(_bundle(out, weight)) for weight in WEIGHTS}
    encoders = {"untrained": untrained_like(trained[WEIGHTS[0]], seed)}
    encoders |= {f"weight {weight}": encoder for weight, encoder in trained.items()}
    manifest = read_manifest(corpus)
    scores: dict[str, dict[str, float]] = {}
    for name, encoder in encoders.items():
        named = NamedEncoder(name, encoder, content_hash(encoder))

        def linear(named: NamedEncoder = named) -> dict[str, float]:
            quiet = ExtractionOptions(progress=False)
            embeddings = embed_clips(named.encoder, manifest, options=quiet)
            return {"accuracy": probe_manifest(embeddings.numpy(), manifest)["test"]}

        def additivity(named: NamedEncoder = named) -> dict[str, float]:
            encoder = named.encoder
            found = additivity_of(encoder.scene, encoder.sample_rate, _N_EVENTS, seed, _CLIP_S)
            return {metric: found[metric] for metric in ("cosine", "recall@1")}

        scores[name] = _recorded(out, "linear", named, linear, times) | _recorded(
            out, "additivity", named, additivity, times
        )
    return scores


def _recorded(
    out: Path,
    protocol: str,
    named: NamedEncoder,
    measure: Callable[[], dict[str, float]],
    times: dict[str, float],
) -> dict[str, float]:
    """Figures from the record of the same protocol and weights, or measured now and recorded."""
    for path in (out / "scores").glob("*.json"):
        record = json.loads(path.read_text())
        if (record["protocol"], record["encoder"]["sha256"]) == (protocol, named.content_hash):
            return {metric: score["mean"] for metric, score in record["scores"].items()}
    start = time.monotonic()
    with _stage(f"{protocol}, {named.name}", times):
        figures = measure()
    values = {metric: {"test": value} for metric, value in figures.items()}
    record = score_record(protocol, "demo", named, values, {}, time.monotonic() - start)
    write_record(out / "scores", record)
    return figures


def _bundle(out: Path, weight: str) -> Path:
    return out / f"weight_{weight}" / "bundle"


def _read_metrics(run: Path) -> dict[str, list[float | None]]:
    """Columns of the run's log; None where a cell is empty."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) if row[name] else None for row in rows] for name in rows[0]}


@contextmanager
def _stage(name: str, times: dict[str, float], done: bool = False) -> Iterator[bool]:
    """Time a stage and say so; gives whether there is anything to do."""
    if done:
        print(f"[demo] {name}: done before", flush=True)
        yield False
        return
    start = time.monotonic()
    yield True
    times[name] = round(time.monotonic() - start, 1)
    print(f"[demo] {name}: {times[name]:.1f} s", flush=True)


def _run(*command: object) -> None:
    """Run a script or module of the repository with this Python."""
    words = [str(word) for word in command]
    result = subprocess.run([sys.executable, *words], check=False)
    if result.returncode:
        raise StageError(f"{' '.join(words)} ended with status {result.returncode}")


if __name__ == "__main__":
    main()
