"""How a linear probe on recordings, and additivity, change over the steps of pretraining.

    python benchmarks/transfer_curve.py RUN [RUN ...] --manifest labels.csv --out curve

Takes every checkpoint that a run kept (`--training.keep_checkpoints 100`), and the encoder that it
started from. Prints a table; writes `curve.json` and `curve.png`.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from byola_diff.atomic import write_text
from byola_diff.embeddings.extract import ExtractionOptions, embed_clips
from byola_diff.encoders.byola import untrained_like
from byola_diff.evaluation.additivity.measures import additivity, embed_over_snr
from byola_diff.evaluation.additivity.quadruples import Sources, event_sounds
from byola_diff.export import encoder_from_checkpoint
from byola_diff.models.encoder import AudioEncoder
from byola_diff.probing.logistic import probe_manifest
from byola_diff.reports.training_figures import Panel, curves
from byola_diff.scores.record import student_interval
from byola_diff.storage import load_checked
from byola_diff.tables.manifest import Manifest, read_manifest

PANELS = (
    Panel("accuracy", "Linear probe", "accuracy"),
    Panel("cosine", "Additivity", "cosine of differences"),
    Panel("recall@1", "Additivity", "recall@1 of 200"),
)


def main() -> None:
    """Measure every checkpoint of every run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="run folders of train.py")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without ending")
    options = parser.parse_args()
    manifest = read_manifest(options.manifest)
    rows = {run.name: list(curve(run, manifest)) for run in options.runs}
    columns = {
        run: {name: [row[name] for row in points] for name in points[0]}
        for run, points in rows.items()
    }
    write_text(options.out.with_suffix(".json"), json.dumps(columns, indent=2) + "\n")
    options.out.with_suffix(".png").write_bytes(curves(columns, PANELS))


def curve(run: Path, manifest: Manifest) -> Iterator[dict[str, float]]:
    """Scores of the untrained encoder and of each checkpoint, printed as they come."""
    paths = sorted((run / "checkpoints").glob("step_*.ckpt"))
    if not paths:
        raise FileNotFoundError(f"no checkpoints in {run / 'checkpoints'}")
    for path in paths:
        checkpoint = load_checked(path)
        encoder = encoder_from_checkpoint(checkpoint, path)
        if path == paths[0]:
            untrained = untrained_like(encoder, checkpoint["config"]["seed"])
            yield _scores(run.name, 0, untrained, manifest)
        yield _scores(run.name, checkpoint["global_step"], encoder, manifest)


def _scores(run: str, step: int, encoder: AudioEncoder, manifest: Manifest) -> dict[str, float]:
    quiet = ExtractionOptions(progress=False)
    embeddings = embed_clips(encoder, manifest, options=quiet).numpy()
    accuracy = student_interval(list(probe_manifest(embeddings, manifest).values()))
    scores = {"accuracy": accuracy.mean}
    sounds = event_sounds(Sources(), 200, (0.0,), 2.0, 0, encoder.sample_rate)
    [(_, embedded)] = embed_over_snr(encoder.scene, sounds, (0.0,))
    figures = additivity(*embedded)
    scores |= {metric: figures[metric] for metric in ("cosine", "recall@1")}
    print(
        f"{run:20} step {step:6d}  accuracy {accuracy.mean:.4f} ± {accuracy.half_width or 0:.4f}  "
        f"cosine {scores['cosine']:.4f}  recall@1 {scores['recall@1']:.4f}",
        flush=True,
    )
    return {"step": step, **scores}


if __name__ == "__main__":
    main()
