"""The pretraining that one watches: a shipped encoder goes on for about a minute."""

import json
from pathlib import Path
from typing import Any

import byola_diff
from byola_diff.demo.encoders import START
from byola_diff.demo.stages import Stages, run_command
from byola_diff.models.shipped import shipped_bundle
from byola_diff.training.monitors import read_metrics

CONFIG = Path(byola_diff.__file__).parent / "configs/pretrain/demo.yaml"
"""In the package, as there is no checkout where it is installed."""

Columns = dict[str, list[float | None]]
"""The log of a run by column, with None where a cell is empty."""


def continue_pretraining(
    stages: Stages, config: Path, seed: int, steps: int | None, audio: Path | None
) -> Path:
    """Folder of the run, with a bundle in it, which is written last.

    Clips are procedural sounds, or of the recordings in the folder `audio`.

    Raises:
        CommandError: If the pretraining fails; its own messages are above.
    """
    run, bundle = stages.out / "continued", stages.out / "continued/bundle"
    with stages.stage("continued pretraining", done=bundle.is_dir()) as to_do:
        if to_do:
            # With "auto", a run that was stopped goes on, and one that was complete ends at once.
            options: list[object] = ["--resume", "auto", "--seed", seed, "--init_from", START]
            options += ["--objective.difference_weight", _weight()]
            if steps is not None:
                options += ["--training.steps", steps]
            if audio is not None:
                options += ["--data.source", "folder", "--data.root", audio]
            run_command("pretrain", "--config", config, "--out_dir", run, *options)
            told = "procedural sounds" if audio is None else f"recordings in {audio.name}"
            checkpoint = run / "checkpoints/last.ckpt"
            run_command("export", checkpoint, bundle, "--data", told)
    return run


def training_of(run: Path) -> dict[str, Any]:
    """Configuration of the pretraining of a run, as its bundle has it."""
    return _training(run / "bundle")


def log_of(run: Path) -> Columns:
    """Columns of the log of a run; a ValueError if no row is whole."""
    header, rows = read_metrics(run / "metrics.csv")
    if not rows:
        raise ValueError(f"{run / 'metrics.csv'} has no whole row")
    columns = zip(header, zip(*rows, strict=True), strict=True)
    return {name: [float(cell) if cell else None for cell in cells] for name, cells in columns}


def _weight() -> float:
    """The weight of the difference loss that the encoder was pretrained with."""
    training = _training(shipped_bundle(START) or Path(START))
    return float(training.get("objective", {}).get("difference_weight", 0.5))


def _training(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / "config.json").read_text(encoding="utf-8"))["training"]
