"""What a run reports while it goes on: losses, collapse, speed, scores, files left out."""

import csv
import io
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor
from torch.nn.functional import normalize

from byola_diff.atomic import UNDECODABLE, write_text
from byola_diff.clips.source import RejectionLog

COLLAPSE_BELOW = 0.01
"""Spread under which a warning is given."""


class DivergedError(RuntimeError):
    """The loss is no longer a finite number."""


class StepCallback(pl.Callback):
    """Is called after each optimiser step, of which some accumulate several batches."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Call `after_step` where the batch was the last of its step."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self.after_step(trainer, pl_module, outputs)

    def after_step(self, trainer: pl.Trainer, pl_module: Any, outputs: Any) -> None:
        """What a subclass does; `outputs` are those of the last batch."""


def is_due(trainer: pl.Trainer, every: int) -> bool:
    """Whether the step that has just ended is the last, or a multiple of `every`."""
    return trainer.global_step % every == 0 or trainer.global_step == trainer.max_steps


def require_finite(value: Tensor, step: int, checkpoints: Path, name: str = "loss") -> None:
    """Do nothing if the value is finite.

    Raises:
        DivergedError: If not, with the step, where the last finite state is, and likely causes.
    """
    if torch.isfinite(value):
        return
    newest = max(checkpoints.glob("step_*.ckpt"), default=None)
    raise DivergedError(
        f"the {name} is {value.item()} at step {step}. "
        f"Last finite checkpoint: {newest or 'none yet'}. "
        "Likely causes: a learning rate too high for this batch size; clips that are all silent; "
        "bfloat16 where float32 is needed (try --training.precision float32)."
    )


def spread(representation: Float[Tensor, "batch dim"]) -> Float[Tensor, ""]:
    """Deviation over the batch of unit-length representations, times sqrt(dim): 0 is collapse.

    Near 1 for directions spread evenly over the sphere.

    Source:
        Chen & He, 2021, "Exploring simple Siamese representation learning", Sec. 4.1.
    """
    unit = normalize(representation.float(), dim=1)
    return unit.std(dim=0).mean() * representation.shape[1] ** 0.5


class MetricsFile:
    """A CSV of one row per step that goes on where a resumed run does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, step: int, row: dict[str, Any]) -> None:
        """Add a row, and the header if it is the first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, ["step", *row])
            if is_new:
                writer.writeheader()
            writer.writerow({"step": step, **row})

    def truncate(self, step: int) -> None:
        """Drop the rows after `step`, and a last row that a full disk or a kill has cut short."""
        if not self.path.exists():
            return
        # Only whole lines: a number cut short is a number still.
        lines = [line for line in self.path.read_text().splitlines(True) if line.endswith("\n")]
        header, *rows = list(csv.reader(lines)) or [[]]
        if not header:
            self.path.unlink()
            return
        kept = [row for row in rows if len(row) == len(header) and int(row[0]) <= step]
        text = io.StringIO()
        csv.writer(text).writerows([header, *kept])
        write_text(self.path, text.getvalue())


class Meter(StepCallback):
    """Writes `metrics.csv` and TensorBoard; stops a run that has diverged."""

    def __init__(self, folder: Path, batch_size: int, every: int) -> None:
        """Keep the settings; `batch_size` counts the clips of all processes."""
        self.metrics = MetricsFile(folder / "metrics.csv")
        self.checkpoints = folder / "checkpoints"
        self.batch_size, self.every = batch_size, every
        self.latest: tuple[int, dict[str, Any]] = 0, {}
        """Step and content of the last row."""
        self._row_start, self._waited_s, self._step = 0.0, 0.0, 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Forget rows that a resumed run will write again."""
        if trainer.is_global_zero:
            self.metrics.truncate(trainer.global_step)
        self._row_start, self._step = time.perf_counter(), trainer.global_step

    def after_step(self, trainer: pl.Trainer, pl_module: Any, outputs: Any) -> None:
        """Write a row when one is due."""
        if is_due(trainer, self.every):
            # Only now is the device asked for numbers: between rows the host runs ahead of it.
            require_finite(outputs["total"], trainer.global_step, self.checkpoints)
            self._write(trainer, self._row(trainer, pl_module, outputs))

    def _row(self, trainer: pl.Trainer, pl_module: Any, outputs: dict) -> dict[str, Any]:
        now, waited_s = time.perf_counter(), trainer.datamodule.waited_s  # pyright: ignore
        elapsed_s = now - self._row_start
        batches = (trainer.global_step - self._step) * trainer.accumulate_grad_batches
        row = {
            "loss/total": outputs["total"].item(),
            "loss/byol": outputs["byol"].item(),
            "loss/difference": outputs["difference"].item() if "difference" in outputs else "",
            "collapse/spread": spread(outputs["representation"]).item(),
            "ema_decay": pl_module.ema_decay,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "clips_per_s": batches * self.batch_size / elapsed_s,
            "data_share": (waited_s - self._waited_s) / elapsed_s,
        }
        self._row_start, self._waited_s, self._step = now, waited_s, trainer.global_step
        return row

    def _write(self, trainer: pl.Trainer, row: dict[str, Any]) -> None:
        step = trainer.global_step
        self.latest = step, row
        if row["collapse/spread"] < COLLAPSE_BELOW:
            rank_zero_warn(
                f"representations collapse at step {step}: spread {row['collapse/spread']:.4f}. "
                f"Earlier checkpoints: {self.checkpoints}. Try a lower learning rate, a higher EMA "
                "decay or a larger batch."
            )
        if trainer.is_global_zero:
            self.metrics.append(step, row)
        numbers = {name: value for name, value in row.items() if value != ""}
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step)


class ScoreDuringTraining(StepCallback):
    """Calls `score` on the learner every so many steps and logs what it returns."""

    def __init__(self, score: Callable[[Any], dict[str, float]], folder: Path, every: int) -> None:
        self.score, self.every = score, every
        self.scores = MetricsFile(folder / "scores.csv")

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Forget rows that a resumed run will write again."""
        if trainer.is_global_zero:
            self.scores.truncate(trainer.global_step)

    def after_step(self, trainer: pl.Trainer, pl_module: Any, outputs: Any) -> None:
        """Score when due, on the first process alone."""
        if not (is_due(trainer, self.every) and trainer.is_global_zero):
            return
        scores = self.score(pl_module)
        self.scores.append(trainer.global_step, scores)
        for logger in trainer.loggers:
            logger.log_metrics(scores, trainer.global_step)


class ListRejectedFiles(pl.Callback):
    """Notes in `rejected.csv` each file that a batch had to do without, and why.

    Here rather than in the source: that one may live in several loader workers, of which each knows
    only its own part.
    """

    def __init__(self, folder: Path, n_clips: int, max_rejected: float) -> None:
        self.path = folder / "rejected.csv"
        self.rejections = RejectionLog(n_clips, max_rejected)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: Any, batch: dict[str, Any], batch_idx: int
    ) -> None:
        """Take in what came with the batch."""
        self.add(batch.get("rejected", []))

    def add(self, rejections: Iterable[tuple[str, str]]) -> None:
        """List and count files; each once, however often it is met.

        Raises:
            TooManyRejectedError: If more than the allowed share is rejected, with the list.
        """
        new = {file: reason for file, reason in rejections if file not in self.rejections.reasons}
        if not new:
            return
        if not self.rejections:
            file, reason = next(iter(new.items()))
            message = f"{file} can't be used ({reason}); another clip takes its place."
            print(f"{message} All such files are listed in {self.path}", file=sys.stderr)
        self._append(new)
        self.rejections.add(new.items())

    def _append(self, new: dict[str, str]) -> None:
        """Add rows; other processes and an earlier part of the run write to the same file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        listed = set()
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8", errors=UNDECODABLE) as file:
                listed = {row[0] for row in csv.reader(file) if row}
        with self.path.open("a", newline="", encoding="utf-8", errors=UNDECODABLE) as file:
            writer = csv.writer(file)
            if not listed:
                writer.writerow(["file", "reason"])
            writer.writerows(item for item in new.items() if item[0] not in listed)
