"""How a run ends before its steps are done: by Ctrl-C, or where it is bounded by minutes."""

import signal
import sys
import threading
import time
from typing import Any

import pytorch_lightning as pl

from byola_diff.training.checkpoints import KeepCheckpoints
from byola_diff.training.monitors import StepCallback, is_due

UNBOUNDED_STEPS = 2**40
"""Length of a run whose end is not known yet."""


class StoppedError(Exception):
    """Training was stopped by Ctrl-C, and its state was saved."""


class FinishStep(StepCallback):
    """On the first Ctrl-C: a checkpoint after the step, then `StoppedError`; at once on a second.

    For one process only: several would stop after different steps, and wait for each other. They
    end at once, and their newest checkpoint is the one to go on from.

    To be called after `checkpoints`, which may have saved the step already.
    """

    def __init__(self, checkpoints: KeepCheckpoints) -> None:
        self.checkpoints = checkpoints
        self._asked = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Take over Ctrl-C; Lightning gives it back at the end, as it does with all signals."""
        if threading.current_thread() is threading.main_thread():  # others may not
            signal.signal(signal.SIGINT, self._ask)

    def after_step(self, trainer: pl.Trainer, pl_module: Any, outputs: Any) -> None:
        """Save and stop, if asked to.

        Raises:
            StoppedError: Says how to go on.
        """
        if self._asked:
            self.checkpoints.save(trainer, pl_module, outputs)
            raise StoppedError(
                f"stopped after step {trainer.global_step}; the same command with --resume auto "
                "goes on from there"
            )

    def _ask(self, *_: Any) -> None:
        self._asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nstopping after this step; Ctrl-C again stops at once", file=sys.stderr, flush=True)


class TimeLimit(StepCallback):
    """Ends training after a number of minutes, and the schedule with it.

    With each row of the log, the trainer's number of steps becomes what the run would reach in its
    time at the speed it had so far. All that follows that number (learning rate, last row of the
    log, last checkpoint) thus follows the clock. Must come first among the callbacks.

    All processes take the clock of the first. Time spent before an interruption counts.
    """

    def __init__(self, minutes: float, every: int) -> None:
        """Keep the settings.

        Args:
            minutes: For all steps, the time to save checkpoints included.
            every: Optimiser steps between two looks at the clock.
        """
        self.limit_s, self.every = 60 * minutes, every
        self.elapsed_s = 0.0
        """Seconds of training at the last look at the clock."""
        self._start = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Start the clock, where a resumed run has left it."""
        self._start = time.perf_counter() - self.elapsed_s
        if trainer.global_step > 0:
            self._set_end(trainer)

    def after_step(self, trainer: pl.Trainer, pl_module: Any, outputs: Any) -> None:
        """Look at the clock when due; at first after each step, of which the first are slow."""
        if trainer.global_step <= self.every or is_due(trainer, self.every):
            elapsed_s = time.perf_counter() - self._start
            self.elapsed_s = trainer.strategy.broadcast(elapsed_s)
            self._set_end(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Seconds used up, for the checkpoint."""
        return {"elapsed_s": self.elapsed_s}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        self.elapsed_s = state_dict["elapsed_s"]

    def _set_end(self, trainer: pl.Trainer) -> None:
        step = trainer.global_step
        steps_left = step / self.elapsed_s * (self.limit_s - self.elapsed_s)
        trainer.fit_loop.epoch_loop.max_steps = step + max(0, round(steps_left))
