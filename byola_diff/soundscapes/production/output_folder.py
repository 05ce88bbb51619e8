"""The options that generated data sets share, and the folder of one, which is never that of two.

The settings are written before anything is made. What marks a finished data set is removed then,
and written last.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from byola_diff.atomic import only_writer, write_text
from byola_diff.audio.files import AudioFileError
from byola_diff.option_fields import RARE, Count
from byola_diff.soundscapes.render.mixer import RendererName

USER_ERRORS = (AudioFileError, ModuleNotFoundError, OSError, RuntimeError, ValueError)
"""What users can mend: said in a line, without a traceback."""

SETTINGS = "settings.json"

Folder = Annotated[Path, "DIR"]


Options = TypeVar("Options", bound="CorpusOptions")


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """How a data set is rendered, and where to."""

    out: Folder
    """Folder of the corpus."""
    seed: Annotated[int, "N"] = 0
    """Seed of all draws."""
    workers: Count = 1
    """Processes."""
    cluster: Annotated[str, "ADDRESS", RARE] | None = None
    """Work on a Ray cluster instead: auto, or its address; the machines share the folders."""
    renderer: Annotated[RendererName, RARE] = "auto"
    """Scaper or our own mixer; auto is Scaper where it is installed."""
    output_rate: Annotated[Count, "HZ", RARE] | None = None
    """Resample the finished files once, such as to 16000 Hz."""
    clipping: Annotated[Literal["gain", "refuse"], RARE] = "gain"
    """Where a clip would reach full scale: gain gives it and all that it is compared with (the
    other clip of its pair, its references) one common gain, recorded in the table and the JAMS;
    refuse leaves the item out, so that all levels are those planned."""
    dry_run: bool = False
    """Say what there is to make, and stop; nothing is written."""

    @property
    def crew(self) -> dict[str, Any]:
        """Who works, as `produce` takes it."""
        return {"n_workers": self.workers, "cluster": self.cluster}


def in_own_folder(run: Callable[[Options], int], options: Options) -> int:
    """What `run` returns, with no other command at work in the folder unless nothing is written.

    Raises:
        FolderInUseError: If one is.
        ValueError: As of `check_folder`, if there can be no such folder.
    """
    if options.dry_run:
        return run(options)
    _check_place(options.out)
    with only_writer(options.out):
        return run(options)


def check_folder(out: Path, settings: Mapping[str, Any]) -> None:
    """Check that a data set of these settings, or more, can be made or continued in `out`.

    Raises:
        ValueError: If the folder holds a data set of other settings or other files, or nothing can
            be written there. Names the option --out.
    """
    _check_place(out)
    record = out / SETTINGS
    if not record.is_file():
        if others := sorted(path.name for path in out.glob("[!.]*")):
            raise ValueError(f"{out} holds other files, such as {others[0]}: give another --out")
        return
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{record} is no JSON: remove the folder, or mend it") from error
    known = {"clipping": "refuse", **(found if isinstance(found, dict) else {})}  # as it once was
    wanted = json.loads(json.dumps(settings))
    if differing := [key for key in wanted if wanted[key] != known.get(key)]:
        raise ValueError(
            f"{out} holds a data set of other settings ({', '.join(differing)}; see {record}): "
            "give another --out, or remove it"
        )


def _check_place(out: Path) -> None:
    there = next(path for path in (out, *out.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise ValueError(f"--out {out}: {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"--out {out}: nothing can be written in {there}")


def begin_folder(out: Path, settings: Mapping[str, Any], results: Sequence[str]) -> None:
    """After `check_folder`, write the settings of a new data set; remove `results` of before."""
    check_folder(out, settings)
    if not (out / SETTINGS).is_file():
        write_text(out / SETTINGS, json.dumps(settings, indent=2) + "\n")
    for name in results:
        (out / name).unlink(missing_ok=True)


def listing(rows: Sequence[Any], what: str = "recordings") -> dict[str, Any]:
    """Number of rows under the name `what`, and a hash of them as JSON."""
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return {what: len(rows), "listing_sha256": digest}
