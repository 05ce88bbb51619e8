"""Where the numbers of a run go beside `metrics.csv`: Lightning's loggers, by name.

TensorBoard's files lie in the folder of the run; so do those of Weights & Biases (`wandb`) and of
MLflow (`mlflow.db`), unless the variables of the environment that these read name a server. Which
run of theirs it is stands in `loggers.json`, and a resumed run goes on there.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from byola_diff.atomic import write_text
from byola_diff.config import PretrainConfig
from byola_diff.optional import require
from byola_diff.storage import read_json
from byola_diff.training.together import is_first, raise_together

_PROJECT = "byola-diff"


class LoggerError(RuntimeError):
    """A logger that can't begin: its server is not reached, or wants a key."""


class RunLogs(pl.Callback):
    """The loggers of `training.logger`: begins each, with the configuration as plain values.

    Nothing is sent before.
    """

    def __init__(self, config: PretrainConfig, resumed: bool) -> None:
        """The first process has all of them; those of a `resumed` run go on with what they began.

        Raises:
            ModuleNotFoundError: If a package is not installed; says what to install.
            BrokenFileError: If the runs that were begun are not to be read.
        """
        self._noted = config.out_dir / "loggers.json"
        self._begun = read_json(self._noted) if resumed and self._noted.is_file() else {}
        self.loggers: dict[str, Logger] = {}
        for name in config.training.trackers if is_first() else ():
            open_logger, extra = _KNOWN[name]
            require(name, extra, f"training.logger {name}")
            self.loggers[name] = open_logger(config, self._begun.get(name))

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Begin.

        Raises:
            LoggerError: If a logger can't.
        """
        error = None
        try:
            if self.loggers:
                runs = {name: self._begin(name, pl_module.config) for name in self.loggers}
                write_text(self._noted, json.dumps(self._begun | runs, indent=2) + "\n")
        except LoggerError as found:
            error = found
        raise_together(error)

    def _begin(self, name: str, config: dict[str, Any]) -> Any:
        """The run of the logger that numbers go to."""
        logger = self.loggers[name]
        try:
            if name not in self._begun:  # MLflow refuses a setting that has changed since
                logger.log_hyperparams(config)
            return logger.version
        except Exception as error:  # each package has its own
            raise LoggerError(f"training.logger {name}: {error}") from error


def log_numbers(loggers: Iterable[Logger], numbers: Mapping[str, float], step: int) -> None:
    """Give the numbers of a step to all loggers.

    What one of them raises is said, and the run goes on: its CSV files have the same numbers.
    """
    for logger in loggers:
        try:
            logger.log_metrics(dict(numbers), step)
        except Exception as error:  # each package has its own, as for a server that is gone
            name = type(logger).__name__
            print(f"{name} has not taken step {step}: {error}", file=sys.stderr, flush=True)


def _tensorboard(config: PretrainConfig, run: str | None) -> Logger:
    return TensorBoardLogger(config.out_dir, "", "")


def _wandb(config: PretrainConfig, run: str | None) -> Logger:
    project = os.environ.get("WANDB_PROJECT", _PROJECT)
    return WandbLogger(_name(config), config.out_dir, id=run, project=project)


def _mlflow(config: PretrainConfig, run: str | None) -> Logger:
    # MLflow's own defaults wait for a server that does not answer for minutes, at every step.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
    folder = config.out_dir.resolve()
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder / 'mlflow.db'}"
    return MLFlowLogger(experiment, _name(config), uri, run_id=run)


def _name(config: PretrainConfig) -> str:
    return config.out_dir.resolve().name


_KNOWN: Mapping[str, tuple[Callable[[PretrainConfig, str | None], Logger], str]] = {
    "tensorboard": (_tensorboard, "log"),
    "wandb": (_wandb, "wandb"),
    "mlflow": (_mlflow, "mlflow"),
}
"""How each is opened, and the extra that installs its package."""
