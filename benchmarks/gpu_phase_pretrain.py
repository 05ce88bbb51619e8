"""Last phase of `gpu_run.py`: one pretraining run that ends with its time.

Settings are those of configs/pretrain/diff2024.yaml, but for batch, warm-up, cosine schedule, the
mixup memory (eight batches, as there) and the sources.
"""

import csv
import json
import shutil
import tarfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from gpu_phase import STEP_OPTIONS, parse_phase, write_json

from byola_diff import build
from byola_diff.allocator import keep_freed_memory
from byola_diff.atomic import atomic_path
from byola_diff.config import (
    DataConfig,
    EncoderConfig,
    FrontEndConfig,
    ObjectiveConfig,
    PretrainConfig,
    SourceConfig,
    TrainingConfig,
    ViewsConfig,
    to_plain,
)
from byola_diff.models.bundle import fill_bundle, whole_folder
from byola_diff.training.checkpoints import KeepCheckpoints
from byola_diff.training.progress import TimeLimit, hide_lightning_noise
from byola_diff.training.run_identity import statistics_of_run

PART_BYTES = 15 * 2**20
CORPUS_SHARE = 0.75
BATCH = {"cuda": 1024, "cpu": 4}
PROJECTION_HIDDEN = {"cuda": 4096, "cpu": 64}
"""On a CPU the run is a rehearsal, of which only the encoder need be the real one."""
SETS_THE_WAY = tuple(
    f"training.{name}=" for name in (*STEP_OPTIONS, "accumulate", "sync_batchnorm", "deterministic")
)
SAME_LOSS = {False: 0.02, True: 0.2}
"""Difference of first losses that is let pass, without and with `compile`."""
END_S = 8
"""Seconds kept for the score and the export after the steps."""


def config_of(
    weight: float, seconds: float, device: str, scratch: Path, name: str
) -> PretrainConfig:
    """The run, on whichever stores the phase before has finished."""
    batch = BATCH[device]
    training = TrainingConfig(
        lr=1e-3,
        projection_hidden=PROJECTION_HIDDEN[device],
        schedule="cosine",
        minutes=max(seconds - END_S, 2) / 60,  # set anew when the steps begin
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        log_every=20 if device == "cuda" else 1,
        logger="none",
    )
    return PretrainConfig(
        out_dir=scratch / name,
        seed=0,
        front_end=FrontEndConfig(window_samples=400, n_fft=400, f_min_hz=50.0, f_max_hz=8000.0),
        data=DataConfig(
            sources=sources_in(scratch), batch_size=batch, num_workers=0, statistics_clips=4 * batch
        ),
        views=ViewsConfig(mixup_memory_batches=8),
        objective=ObjectiveConfig(difference_weight=weight),
        training=training,
    )


def fastest_settings(steps: Path, config: PretrainConfig) -> list[str]:
    """Settings with which the phase before measured such steps as fastest; none, if it did not.

    Those with which the first losses are not those of plain steps do not count.
    """
    rows = json.loads(steps.read_text())["steps"] if steps.is_file() else []
    case = config.data.batch_size, config.objective.difference_weight
    measured = [
        row for row in rows if (row["batch"], row["weight"]) == case and "clips_per_s" in row
    ]
    ways = [[f"training.{name}=true" for name in STEP_OPTIONS if row.get(name)] for row in measured]
    if config.encoder != EncoderConfig() or [] not in ways:
        return []
    plain = measured[ways.index([])]
    speeds = [
        (row["clips_per_s"], way)
        for row, way in zip(measured, ways, strict=True)
        if not way or has_same_losses(row, plain)
    ]
    return max(speeds)[1]


def has_same_losses(row: dict[str, Any], plain: dict[str, Any]) -> bool:
    """Whether the first losses are near those of plain steps; `compile` draws other dropout."""
    most = SAME_LOSS[row["compile"]]
    pairs = zip(row["first_losses"], plain["first_losses"], strict=True)
    return all(abs(loss - wanted) < most for loss, wanted in pairs)


def with_settings(config: PretrainConfig, settings: Sequence[str]) -> PretrainConfig:
    """The configuration with settings as `encoder.dim=512`; a ValueError if there is no such."""
    for setting in settings:
        name, _, value = setting.partition("=")
        group, _, key = name.partition(".")
        if not hasattr(getattr(config, group, None), key):
            raise ValueError(f"{setting}: no setting of a pretraining run")
        given = yaml.safe_load(value)
        given = tuple(given) if isinstance(given, list) else given
        changed = replace(getattr(config, group), **{key: given})
        config = replace(config, **{group: changed})
    return config


def sources_in(scratch: Path) -> tuple[SourceConfig, ...]:
    """Finished stores at their shares; sounds made on the way where there is none."""
    shares = {"corpus": CORPUS_SHARE, "procedural": 1 - CORPUS_SHARE}
    stores = [name for name in shares if (scratch / name / "meta.json").is_file()]
    if not stores:
        return (SourceConfig(source="procedural", share=1.0),)
    total = sum(shares[name] for name in stores)
    return tuple(
        SourceConfig(source="resident", root=scratch / name, share=shares[name] / total)
        for name in stores
    )


class WriteEncoders(pl.Callback):
    """Writes the encoder, its log and its score at a half of the run and at the end."""

    def __init__(self, config: PretrainConfig, name: str, options: Any) -> None:
        self.config, self.name, self.options = config, name, options
        self.figures: dict[str, Any] = {"commit": options.commit, "scores": {}, "files": []}
        training = config.training
        self.figures |= {"compile": training.compile, "cuda_graphs": training.cuda_graphs}
        self.score = self._open_score(options.corpus / "labelled" / "manifest.csv")
        self._is_half_written = False

    def _open_score(self, manifest: Path) -> Any:
        """The score; none, and why, without labelled clips that can be used: the run goes on."""
        if not manifest.is_file():
            return None
        try:
            return build.nearest_neighbour_score(manifest, self.config.front_end.sample_rate)
        except Exception as error:
            self.figures["scores"]["fault"] = _in_short(error)
            print(f"{self.name} goes on without a score: {_in_short(error)}", flush=True)
            return None

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Give the steps what time is left now: importing and loading took some."""
        left_s = self.options.deadline - END_S - time.monotonic()
        for callback in trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue]
            if isinstance(callback, TimeLimit):
                callback.limit_s = max(left_s, 2.0)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write at the half; what goes wrong then does not end the run."""
        has_log = (self.config.out_dir / "metrics.csv").is_file()
        if self._is_half_written or not has_log or trainer.global_step < trainer.max_steps / 2:
            return
        self._is_half_written = True
        try:
            self.write(trainer, pl_module, "half")
        except Exception as error:
            print(f"nothing written at the half: {type(error).__name__}: {error}", flush=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Write at the end."""
        self.write(trainer, pl_module, "end")

    def write(self, trainer: pl.Trainer, learner: Any, moment: str) -> None:
        """Bundle and log into a tar file, figures into pretrain.json."""
        folder = self.config.out_dir / f"{self.name}_{moment}"
        encoder = build.online_encoder(learner).cpu()
        shutil.rmtree(folder, ignore_errors=True)
        with whole_folder(folder) as temporary:
            fill_bundle(
                temporary,
                encoder,
                name=folder.name,
                training=to_plain(self.config),
                steps=trainer.global_step,
                data=json.dumps(to_plain(self.config)["data"]["sources"]),
                commit=self.options.commit,
                half=True,
            )
        shutil.copyfile(self.config.out_dir / "metrics.csv", folder / "metrics.csv")
        self.figures["files"] += write_parts(folder, self.options.out)
        self.figures |= speed(self.config.out_dir / "metrics.csv", self.config.data.batch_size)
        self._save()
        if self.score:
            try:
                self.figures["scores"][moment] = self.score(learner)
            except Exception as error:  # of labelled clips, which are not what the run is for
                self.figures["scores"][moment] = _in_short(error)
            self._save()
        print(f"{self.name} {moment}: {self.figures}", flush=True)

    def _save(self) -> None:
        path = self.options.out / "pretrain.json"
        found = json.loads(path.read_text()) if path.is_file() else {}
        write_json(path, found | {self.name: self.figures})


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def write_parts(folder: Path, out: Path) -> list[str]:
    """Put a folder into a tar file in `out`, cut into parts where it is too large; their names."""
    whole = folder.with_name(f"{folder.name}.tar")  # a weight may have a point in it
    with tarfile.open(whole, "w") as archive:
        archive.add(folder, folder.name)
    n_parts = -(-whole.stat().st_size // PART_BYTES)
    names = [f"{whole.name}.{part}" if n_parts > 1 else whole.name for part in range(n_parts)]
    with whole.open("rb") as stream:
        for name in names:
            with atomic_path(out / name) as temporary:
                temporary.write_bytes(stream.read(PART_BYTES))
    return names


def speed(metrics: Path, batch: int) -> dict[str, float]:
    """Clips so far and the median speed of the rows of a log, its first left out."""
    with metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    speeds = sorted(float(row["clips_per_s"]) for row in rows[1:] or rows)
    return {
        "steps": int(rows[-1]["step"]),
        "clips": int(rows[-1]["step"]) * batch,
        "clips_per_s": round(speeds[len(speeds) // 2], 1),
        "loss": float(rows[-1]["loss/total"]),
    }


def main() -> None:
    """Build and fit."""
    options = parse_phase(__doc__)
    keep_freed_memory()
    hide_lightning_noise()
    name = f"weight_{options.weight:g}"
    left_s = options.deadline - time.monotonic()
    config = config_of(options.weight, left_s, options.device, options.scratch, name)
    config = with_settings(config, options.set)
    fastest = fastest_settings(options.out / "steps.json", config)
    if not any(setting.startswith(SETS_THE_WAY) for setting in options.set):
        config = with_settings(config, fastest)  # else it is done as asked
    shutil.rmtree(config.out_dir, ignore_errors=True)  # of a run that failed
    learner = build.build_learner(config, statistics_of_run(config, None))
    trainer = build.build_trainer(config)
    # No checkpoints, which take seconds and cannot be brought back: what counts are the bundles.
    kept = [each for each in trainer.callbacks if not isinstance(each, KeepCheckpoints)]  # pyright: ignore
    trainer.callbacks = [*kept, WriteEncoders(config, name, options)]  # pyright: ignore
    trainer.fit(learner, build.build_clip_module(config))


if __name__ == "__main__":
    main()
