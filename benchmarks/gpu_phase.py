"""What the phases of `gpu_run.py` share: their options, and files that are always whole."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from byola_diff.atomic import write_text
from byola_diff.commit import code_commit

STEP_OPTIONS = ("compile", "cuda_graphs")
"""Settings of `training` that make steps faster, perhaps; plain steps have none of them."""


def parse_phase(description: str | None) -> argparse.Namespace:
    """Options that `gpu_run.py` hands to each phase."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=float, required=True, help="time for the phase")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--commit", default=code_commit(), help="version of the code")
    parser.add_argument("--weight", type=float, default=0.0, help="of the difference loss")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the pretraining")
    parser.add_argument("--started", type=float, help="monotonic clock when the phase was begun")
    options = parser.parse_args()
    started = time.monotonic() if options.started is None else options.started
    options.deadline = started + options.seconds
    return options


def write_json(path: Path, content: Any) -> None:
    """Write figures so that the file is whole whenever the phase is ended."""
    write_text(path, json.dumps(content, indent=1) + "\n")
