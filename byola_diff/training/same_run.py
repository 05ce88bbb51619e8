"""Whether a checkpoint belongs to the run that wants to go on from it."""

from collections.abc import Mapping
from typing import Any

_LENGTH = {"training.epochs", "training.steps", "training.minutes"}

# What may differ: where things lie, how long to go on, what is logged, on how many processors.
_FREE = _LENGTH | {
    "out_dir",
    *(f"data.{name}" for name in ("source", "root", "num_workers", "max_rejected")),
    "data.statistics_clips",
    *(f"training.{name}" for name in ("accelerator", "devices", "nodes")),
    *(f"training.{name}" for name in ("log_every", "checkpoint_every", "keep_checkpoints")),
    "training.tensorboard",
    *(f"monitor.{name}" for name in ("manifest", "every")),
}


class OtherRunError(ValueError):
    """A checkpoint made with settings that the run does not have."""


def check_same_run(saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Do nothing if both configurations give the same training.

    Raises:
        OtherRunError: If not: what is resumed would be neither run. Names each setting.
    """
    old, new = _flat(saved), _flat(current)
    # A schedule depends on the length of the run.
    free = _FREE if new.get("training.schedule") == "constant" else _FREE - _LENGTH
    # A setting that the checkpoint does not know yet has its default, which changes nothing.
    changed = [key for key in sorted(old) if old[key] != new.get(key)]
    lines = [f"  {key}: {old[key]} -> {new.get(key)}" for key in changed if key not in free]
    if lines:
        message = "the checkpoint was made with other settings; a new --out_dir starts a new run"
        raise OtherRunError("\n".join([f"{message}:", *lines]))


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        inner = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat
