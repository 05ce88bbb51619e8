"""Options of the demo: checked, and noted in its folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from byola_diff.atomic import write_text
from byola_diff.demo import sounds
from byola_diff.demo.encoders import check_shipped
from byola_diff.demo.pretraining import CONFIG
from byola_diff.option_fields import Count
from byola_diff.optional import require
from byola_diff.storage import sha256
from byola_diff.tables.manifest import read_manifest


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """Where to, and what may differ from the demo of the README."""

    out: Annotated[Path, "DIR"] = Path("runs/demo")
    """Folder of all that is written."""
    seed: Annotated[int, "N"] = 0
    """Seed of all draws."""
    events: Annotated[Path, "MANIFEST"] | None = None
    """A manifest.csv of recordings (file, label, fold 1 to 5) in place of procedural events."""
    backgrounds: Annotated[Path, "DIR"] | None = None
    """Recordings of at least 10 s in place of procedural backgrounds."""
    audio: Annotated[Path, "DIR"] | None = None
    """Recordings to pretrain on in place of procedural sounds."""
    steps: Count | None = None
    """Optimiser steps, if not those of the configuration."""
    config: Annotated[Path, "YAML"] = CONFIG
    """Configuration of the pretraining."""


def check_needs(options: DemoOptions) -> None:
    """Raise what `run_demo` would for want of something, before anything is done."""
    if not options.config.is_file():
        raise FileNotFoundError(f"--config {options.config}: there is no such file")
    check_shipped()
    for name in ("matplotlib", "sklearn", "jinja2"):
        require(name, "evaluate", "the demo")
    require("pyloudnorm", "generate", "the demo")
    if options.events is not None:
        if options.events.name != "manifest.csv":
            raise ValueError(f"--events {options.events}: the file must be named manifest.csv")
        read_manifest(options.events)
    for name in ("backgrounds", "audio"):
        if (folder := getattr(options, name)) is not None and not folder.is_dir():
            raise FileNotFoundError(f"--{name} {folder}: there is no such folder")


def begin(options: DemoOptions) -> None:
    """Note the settings in the folder, so that a later call does not mix results of two."""
    given = {
        name: value for name, value in asdict(options).items() if name not in ("out", "config")
    }
    settings: dict[str, Any] = {
        name: str(value.resolve()) if isinstance(value, Path) else value
        for name, value in given.items()
    }
    settings["config"] = options.config.read_text(encoding="utf-8")
    settings["manifest_sha256"] = None if options.events is None else sha256(options.events)
    settings["sizes"] = [sounds.N_DRAWS, sounds.N_EVENTS, sounds.N_ITEMS, sounds.PER_LABEL]
    noted = options.out / "settings.json"
    if not noted.is_file():
        write_text(noted, json.dumps(settings, indent=2) + "\n")
    elif json.loads(noted.read_text(encoding="utf-8")) != settings:
        raise FileExistsError(
            f"{options.out} holds a demo with other settings: choose another --out"
        )
