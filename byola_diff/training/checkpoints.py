"""Checkpoints that survive a kill: written whole, hash-checked, the newest good one resumed.

Ctrl-C and SIGTERM leave one too.
"""

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import CheckpointIO
from pytorch_lightning.utilities import rank_zero_only

from byola_diff.atomic import remove_left_over
from byola_diff.storage import (
    BrokenFileError,
    check_hash,
    copy_checked,
    hash_file,
    load_checked,
    save_checked,
)
from byola_diff.training.monitors import StepCallback, is_due, require_finite
from byola_diff.training.together import gathered, is_first, raise_together

STEP_FILES = "step_*.ckpt"


def step_file(step: int) -> str:
    """Name of the checkpoint of a step; names sort as steps do."""
    return f"step_{step:08d}.ckpt"


class CheckedCheckpointIO(CheckpointIO):
    """Lightning's reading and writing, through `byola_diff.storage`."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write the checkpoint and its hash."""
        save_checked(checkpoint, Path(path))

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Content of a whole and harmless checkpoint, on the CPU, by the safe loader alone."""
        return load_checked(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint and its hash."""
        Path(path).unlink(missing_ok=True)
        hash_file(Path(path)).unlink(missing_ok=True)


class KeepCheckpoints(StepCallback):
    """Leaves `step_<n>.ckpt` every so many steps and at the end, and `last.ckpt`, the newest again.

    An older one goes only once the new one has been read back.
    """

    def __init__(self, folder: Path, every: int, keep: int) -> None:
        self.folder, self.every, self.keep = folder, every, keep

    def after_step(self, trainer: pl.Trainer, pl_module: Any, outputs: Any) -> None:
        """Save when a multiple of `every` has just been reached."""
        if is_due(trainer, self.every):
            self.save(trainer, pl_module, outputs)

    def save(self, trainer: pl.Trainer, pl_module: Any, outputs: Any) -> None:
        """Save the step that has just ended.

        Raises:
            DivergedError: If the loss or a weight is not finite.
        """
        step = trainer.global_step
        require_finite(outputs["total"], step, self.folder)
        # A finite loss may still have had a gradient that is not.
        weights = torch.stack([weight.sum() for weight in pl_module.parameters()])
        require_finite(weights.sum(), step, self.folder, "sum of the weights")
        path = self.folder / step_file(step)
        trainer.save_checkpoint(path, weights_only=False)  # the optimiser too, that is
        if trainer.is_global_zero:
            self._make_last(path)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """End the last save, if a kill has cut it short and there was no step left to do."""
        newest = self.folder / step_file(trainer.global_step)
        if newest.exists() and trainer.is_global_zero:
            self._make_last(newest)

    def _make_last(self, path: Path) -> None:
        check_hash(path)
        copy_checked(path, self.folder / "last.ckpt")
        # Of later steps there are none but broken ones, from before which the run went on.
        until_this = [each for each in sorted(self.folder.glob(STEP_FILES)) if each <= path]
        for old in until_this[: -self.keep]:
            CheckedCheckpointIO().remove_checkpoint(old)
        remove_left_over(self.folder)  # by a kill inside a save


class StoppedError(Exception):
    """Training was stopped by a signal, Ctrl-C or SIGTERM, and its state was saved."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message, signal_number)
        self.signal_number = signal_number

    def __str__(self) -> str:
        return self.args[0]


class StopTogether(StepCallback):
    """On the first Ctrl-C or SIGTERM: a checkpoint after the step, then `StoppedError`.

    A second Ctrl-C stops at once. Of several processes, all stop after the same step, whichever
    was asked, and all stop if one has no batch.

    To be called after `checkpoints`, which may have saved the step already.
    """

    def __init__(self, checkpoints: KeepCheckpoints) -> None:
        self.checkpoints = checkpoints
        self._asked = 0
        """Number of the signal."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Take over both; Lightning gives them back at the end, as it does with all signals."""
        if threading.current_thread() is threading.main_thread():  # others may not
            signal.signal(signal.SIGINT, self._ask)
            signal.signal(signal.SIGTERM, self._ask)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: Any, batch: dict[str, Any], batch_idx: int
    ) -> None:
        """Raise what has kept the batch from being read."""
        error = batch.get("error")
        if error and self._asked:
            text = "stopped within a step; --resume auto goes on from the newest checkpoint"
            error = StoppedError(text, self._asked)
        raise_together(error)

    def after_step(self, trainer: pl.Trainer, pl_module: Any, outputs: Any) -> None:
        """Save and stop, if asked to.

        Raises:
            StoppedError: Says how to go on.
        """
        if asked := gathered(self._asked):
            self.checkpoints.save(trainer, pl_module, outputs)
            text = f"stopped after step {trainer.global_step}; the same command with --resume auto"
            raise_together(StoppedError(f"{text} goes on from there", max(asked)))

    def _ask(self, number: int, _: Any) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if not self._asked and is_first():
            text = "\nstopping after this step; Ctrl-C again stops at once"
            print(text, file=sys.stderr, flush=True)
        self._asked = self._asked or number


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; older ones are tried in turn, saying why.

    `last.ckpt` comes after those of steps, and does where they are gone. None if there is no
    checkpoint at all.

    Raises:
        BrokenFileError: If there are checkpoints and none is whole.
    """
    steps = sorted(folder.glob(STEP_FILES), reverse=True)
    for path in (*steps, *folder.glob("last.ckpt")):
        try:
            check_hash(path)
        except BrokenFileError as error:
            rank_zero_only(print)(f"skipping a broken checkpoint: {error}")
        else:
            return path
    if any(folder.glob("*.ckpt")):
        raise BrokenFileError(folder, "none of the checkpoints is whole: start again elsewhere")
    return None
