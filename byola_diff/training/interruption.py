"""Ctrl-C ends training after the step that is under way, with a checkpoint.

Where there is one process only: several would stop after different steps, and wait for each other.
They end at once, and their newest checkpoint is the one to go on from.
"""

import signal
import sys
import threading
from typing import Any

import pytorch_lightning as pl

from byola_diff.training.checkpoints import KeepCheckpoints
from byola_diff.training.monitors import ends_step


class StoppedError(Exception):
    """Training was stopped by Ctrl-C, and its state was saved."""


class FinishStep(pl.Callback):
    """On the first Ctrl-C: a checkpoint after the step, then `StoppedError`; at once on a second.

    To be called after `checkpoints`, which may have saved the step already.
    """

    def __init__(self, checkpoints: KeepCheckpoints) -> None:
        self.checkpoints = checkpoints
        self._asked = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Take over Ctrl-C; Lightning gives it back at the end, as it does with all signals."""
        if threading.current_thread() is threading.main_thread():  # others may not
            signal.signal(signal.SIGINT, self._ask)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save and stop, if asked to.

        Raises:
            StoppedError: Says how to go on.
        """
        if self._asked and ends_step(trainer, batch_idx):
            self.checkpoints.save(trainer, pl_module, outputs)
            raise StoppedError(
                f"stopped after step {trainer.global_step}; the same command with --resume auto "
                "goes on from there"
            )

    def _ask(self, *_: Any) -> None:
        self._asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nstopping after this step; Ctrl-C again stops at once", file=sys.stderr, flush=True)
