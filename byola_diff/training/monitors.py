"""What a run reports while it goes on: losses, collapse, speed, scores, files left out."""

import csv
import re
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
from byola_diff.clips.source import RejectionLog, TooManyRejectedError
from byola_diff.training.loggers import log_numbers
from byola_diff.training.together import gathered, is_first, raise_together

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
    """Do nothing if the value is finite on all processes, each of which has to ask.

    Raises:
        DivergedError: If not, with the step, where the last finite state is, and likely causes.
    """
    error = None
    if not torch.isfinite(value):
        newest = max(checkpoints.glob("step_*.ckpt"), default=None)
        error = DivergedError(
            f"the {name} is {value.item()} at step {step}. "
            f"Last finite checkpoint: {newest or 'none yet'}. Likely causes: a learning rate too "
            "high for this batch size; clips that are all silent; bfloat16 where float32 is needed "
            "(try --training.precision float32)."
        )
    raise_together(error)


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
        """Add a row, and the header if it is the first; one that is there says what is kept."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        with self.path.open("a+", newline="") as file:
            file.seek(0)
            columns = next(csv.reader(file), ["step", *row])
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            if is_new:
                writer.writeheader()
            writer.writerow({"step": step, **row})

    def truncate(self, step: int) -> None:
        """Drop damaged rows and those after `step`; set aside a file whose header is damaged."""
        if not self.path.exists():
            return
        try:
            header, rows = read_metrics(self.path)
        except ValueError as error:
            aside = self.path.rename(self.path.with_suffix(".damaged.csv"))
            print(f"{error}: it is kept as {aside.name}, and begun anew", file=sys.stderr)
            return
        kept = [header, *(row for row in rows if int(row[0]) <= step)]
        write_text(self.path, "".join(",".join(row) + "\r\n" for row in kept))


def read_metrics(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a `MetricsFile`, without damaged rows: how many is said on standard error.

    Rows without an end are left out too: a number cut short is a number still.

    Raises:
        ValueError: If the header is damaged.
    """
    # Line by line, as a damaged byte can be a quote, which for a CSV would swallow whole rows.
    first, *lines = path.read_bytes().decode("ascii", "replace").split("\n")
    header = first.strip("\r").split(",")
    if not lines or header[0] != "step" or not all(re.fullmatch(r"[\w/@-]+", n) for n in header):
        raise ValueError(f"{path}: its header is damaged")
    rows = [line.strip("\r").split(",") for line in lines[:-1]]
    whole = [row for row in rows if len(row) == len(header) and _are_numbers(row)]
    if n_damaged := len(rows) - len(whole):
        print(f"{path}: {n_damaged} damaged rows are left out", file=sys.stderr)
    return header, whole


def _are_numbers(row: list[str]) -> bool:
    """Whether a row has a step and, where it says something, numbers as they are written."""
    if not all(re.fullmatch(r"[-+.e\d]*|-?inf|nan", value) for value in row):
        return False  # `float` would take "1_0", and numbers with ends of lines around them
    try:
        list(map(float, filter(None, row)))
    except ValueError:
        return False
    return row[0].isdecimal()


class Meter(StepCallback):
    """Writes `metrics.csv`, and to the loggers of the run; stops a run that has diverged."""

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
            "log_mel/view_mean": outputs["view_mean"].item(),
            "log_mel/mixture_mean": (
                outputs["mixture_mean"].item() if "mixture_mean" in outputs else ""
            ),
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
        log_numbers(trainer.loggers, numbers, step)


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
        log_numbers(trainer.loggers, scores, trainer.global_step)


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
        """Take in what came with the batches of all processes."""
        self.add([one for part in gathered(batch.get("rejected")) for one in part or ()])

    def add(self, rejections: Iterable[tuple[str, str]]) -> None:
        """Count files, each once, however often it is met; the first process lists them.

        All processes are given the same.

        Raises:
            TooManyRejectedError: If more than the allowed share is rejected, with the list.
        """
        new = {file: reason for file, reason in rejections if file not in self.rejections.reasons}
        if not new:
            return
        if is_first():
            self._tell(new)
        error = None
        try:
            self.rejections.add(new.items())
        except TooManyRejectedError as found:
            error = found
        raise_together(error)

    def _tell(self, new: dict[str, str]) -> None:
        if not self.rejections:
            file, reason = next(iter(new.items()))
            message = f"{file} can't be used ({reason}); another clip takes its place."
            print(f"{message} All such files are listed in {self.path}", file=sys.stderr)
        # Rows of an earlier part of the run stay.
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
