"""Pretrains short runs that differ in one thing each, and scores them on development sets.

    python benchmarks/recipe.py ARMS.csv OUT --esc10 ESC-10/manifest.csv --backgrounds DIR

ARMS.csv has the columns `arm,options`: a name, and options of train.py beside `--config BASE`. Each
arm not yet in OUT is trained and scored, with a row added to OUT/scores.csv. Several commands with
one OUT share the arms among them. Tables of what was tried so far lie in benchmarks/tried.
"""

import argparse
import csv
import json
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import torch

from byola_diff.embeddings.extract import ExtractionOptions, embed_clips
from byola_diff.encoders.byola import untrained_like
from byola_diff.evaluation.additivity.measures import additivity, embed_over_snr
from byola_diff.evaluation.additivity.quadruples import EventSounds, event_sounds, open_sources
from byola_diff.export import encoder_from_checkpoint
from byola_diff.models.encoder import AudioEncoder
from byola_diff.probing.logistic import probe_manifest
from byola_diff.scores.record import student_interval
from byola_diff.storage import load_checked
from byola_diff.tables.manifest import Manifest, read_manifest

ROOT = Path(__file__).parents[1]
SNRS_DB = (-5.0, 0.0, 5.0, 10.0)
SEEDS = (0, 1, 2)
COLUMNS = ("arm", "steps", "cpu_s", "esc10", "esc10_half", "cosine", "recall@1", "recall@5")


def main() -> None:
    """Train and score every arm that is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("arms", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", default="procedural", help="configuration of all arms")
    parser.add_argument("--esc10", type=Path, required=True)
    parser.add_argument("--backgrounds", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sounds = draws_of_sounds(options.esc10, options.backgrounds)
    manifest = read_manifest(options.esc10)
    while arm := _next_arm(options.arms, options.out):
        name, words = arm
        cpu_s = train(options.out / name, options.base, words)
        checkpoint = load_checked(options.out / name / "checkpoints" / "last.ckpt")
        encoder = encoder_from_checkpoint(checkpoint, options.out / name)
        if "untrained" in name:
            encoder = untrained_like(encoder, checkpoint["config"]["seed"])
        row = {"arm": name, "steps": checkpoint["global_step"], "cpu_s": round(cpu_s)}
        row |= scores(encoder, manifest, sounds)
        (options.out / name / "row.json").write_text(json.dumps(row))
        write_table(options.out)
        print(json.dumps(row), flush=True)


def _next_arm(arms: Path, out: Path) -> tuple[str, list[str]] | None:
    """The first that no command has begun; read anew, so that arms can be added meanwhile."""
    with arms.open(newline="") as file:
        for row in csv.DictReader(file):
            out.mkdir(parents=True, exist_ok=True)
            try:
                (out / row["arm"]).mkdir()
            except FileExistsError:
                continue
            return row["arm"], shlex.split(row["options"])
    return None


def train(folder: Path, base: str, words: list[str]) -> float:
    """CPU seconds of the training."""
    command = [sys.executable, ROOT / "train.py", "--config", base, "--out_dir", folder]
    command += ["--training.logger", "none", *words]
    before_s = _children_s()
    with (folder / "log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    return _children_s() - before_s


def _children_s() -> float:
    """CPU seconds of all programs that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def draws_of_sounds(esc10: Path, backgrounds: Path) -> list[EventSounds]:
    """Three draws of 200 events over two backgrounds each, for the scores of additivity."""
    sources = open_sources(esc10, backgrounds, 2.0)
    return [event_sounds(sources, 200, SNRS_DB, 2.0, seed, 16_000) for seed in SEEDS]


def scores(
    encoder: AudioEncoder, manifest: Manifest, sounds: list[EventSounds]
) -> dict[str, float]:
    """ESC-10 over its folds; additivity over draws of the quadruples and ratios."""
    embeddings = embed_clips(encoder, manifest, options=ExtractionOptions(progress=False)).numpy()
    accuracy = student_interval(list(probe_manifest(embeddings, manifest).values()))
    found = {"esc10": 100 * accuracy.mean, "esc10_half": 100 * (accuracy.half_width or 0)}
    figures = [
        additivity(*embedded)
        for draw in sounds
        for _, embedded in embed_over_snr(encoder.scene, draw, SNRS_DB)
    ]
    for metric in ("cosine", "recall@1", "recall@5"):
        scale = 1 if metric == "cosine" else 100
        found[metric] = scale * sum(each[metric] for each in figures) / len(figures)
    return {key: round(value, 3) for key, value in found.items()}


def write_table(out: Path) -> None:
    """All rows there are, in the order of names."""
    rows = [json.loads(path.read_text()) for path in sorted(out.glob("*/row.json"))]
    with (out / "scores.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
