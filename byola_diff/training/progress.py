"""What the console shows of a run, and what of Lightning it does not."""

import logging
import sys
import warnings
from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

from byola_diff.training.monitors import Meter, StepCallback
from byola_diff.training.stopping import UNBOUNDED_STEPS


class Progress(StepCallback):
    """A bar on a terminal; elsewhere, as in a log file, one line per row of `metrics.csv`."""

    def __init__(self, meter: Meter) -> None:
        """Take the meter, which must come before this in the list of callbacks."""
        self.meter = meter
        self.bar: tqdm | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Say what is trained on; open the bar where the run starts or goes on."""
        if not trainer.is_global_zero:
            return
        precision = "bfloat16" if pl_module.uses_bfloat16 else "float32"
        devices = f"{trainer.world_size} x {pl_module.device.type}"
        steps = _steps(trainer)
        length = f"{steps} steps" if steps else "as many steps as the time allows"
        print(f"pretraining on {devices} in {precision}, {length}", flush=True)
        if sys.stderr.isatty():
            self.bar = tqdm(
                desc="pretraining",
                total=_steps(trainer),
                initial=trainer.global_step,
                unit="step",
                dynamic_ncols=True,
            )

    def after_step(self, trainer: pl.Trainer, pl_module: Any, outputs: Any) -> None:
        """Count the step; show the numbers where there are new ones."""
        if not trainer.is_global_zero:
            return
        step, row = self.meter.latest
        text = ""
        if step == trainer.global_step:
            text = (
                f"loss {row['loss/total']:.4f}, {row['clips_per_s']:.1f} clips/s, "
                f"waiting for data {row['data_share']:.0%}"
            )
        if self.bar is None and text:
            print(f"step {step}/{_steps(trainer) or '?'}: {text}", flush=True)
        elif self.bar is not None:
            if text:
                self.bar.set_postfix_str(text, refresh=False)
                self.bar.total = _steps(trainer)  # a run bounded by minutes learns it by and by
            self.bar.update()

    def teardown(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Leave the bar as it is, also after an error."""
        if self.bar is not None:
            self.bar.close()


def _steps(trainer: pl.Trainer) -> int | None:
    """Steps of the run, as far as known."""
    return None if trainer.max_steps == UNBOUNDED_STEPS else trainer.max_steps


def hide_lightning_noise() -> None:
    """Keep its warnings of real trouble; hide advertisements, notices and wrong advice.

    For the whole process and for good, so for entry points only.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Of Lightning's own code, not of ours.
    warnings.filterwarnings("ignore", message=r".*LeafSpec.* is deprecated", category=FutureWarning)
    # Its successor, of torch 2.14, would copy the mixup memory of the first process to the others.
    warnings.filterwarnings("ignore", message=r".*broadcast_buffers.* is deprecated")
    # Clips made on the device need no workers, and few are enough for a packed store.
    warnings.filterwarnings("ignore", message=r".*does not have many workers")
