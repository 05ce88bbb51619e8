"""A task to score encoders on: a manifest, and what its sidecar says about it.

The sidecar of `esc50.csv` is `esc50.task.json`; `datasets/prepare_task.py` writes both. A manifest
of the user's own needs none.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from byola_diff.corpora.registry import Metric
from byola_diff.storage import BrokenFileError, check_seal, sha256
from byola_diff.tables.manifest import Manifest, ManifestError, read_manifest
from byola_diff.tables.validation import fault

ROOT_OPTION = "--audio-root"
"""Option of commands that score tasks: another folder that files are relative to."""


@dataclass(frozen=True)
class Task:
    """Clips with labels and splits, and how they are scored."""

    name: str
    manifest: Manifest
    unit_s: float | None
    """Clips are cut or padded to this length. None: they are taken as they are."""
    metric: Metric
    deviations: tuple[str, ...] = ()
    """In what the clips differ from the published task, which scores should be shown with."""


def read_task(path: Path | str, root: Path | None = None) -> Task:
    """The task of the manifest at `path`, with files relative to `root` if given.

    Without a sidecar it is named after folder and file, clips keep their length, and the metric is
    accuracy if every clip has one label, else mAP.

    Raises:
        ManifestError: As `read_manifest`; if the sidecar can't be understood or was written for
            another manifest; or if accuracy is asked of clips with several labels.
    """
    path = Path(path)
    said = _read_sidecar(path)
    option = None if root else ROOT_OPTION
    manifest = read_manifest(path, root=root or path.parent / said.source, root_option=option)
    several = [clip.file for clip in manifest.clips if len(clip.labels) > 1]
    metric: Metric = said.metric or ("mAP" if several else "accuracy")
    if several and metric == "accuracy":
        raise ManifestError(f"{path}: accuracy needs one label per clip, {several[0]} has several")
    return Task(
        name=said.task or f"{path.resolve().parent.name}/{path.stem}",
        manifest=manifest,
        unit_s=said.unit_s,
        metric=metric,
        deviations=said.deviations,
    )


def sidecar_path(manifest: Path) -> Path:
    """Where the sidecar of a manifest lies."""
    return manifest.with_name(f"{manifest.stem}.task.json")


class _Sidecar(BaseModel):
    """What a sidecar says that decides how a task is scored."""

    model_config = ConfigDict(strict=True, frozen=True)

    task: str | None = None
    source: str = "."
    unit_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    metric: Metric | None = None
    deviations: tuple[str, ...] = ()
    manifest_sha256: str | None = None


def _read_sidecar(manifest: Path) -> _Sidecar:
    path = sidecar_path(manifest)
    if not path.exists():
        return _Sidecar()
    try:
        content = path.read_bytes()
        said = _Sidecar.model_validate_json(content)
        check_seal(path, content, required=False)  # one written by hand has none
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path}: unreadable sidecar: {fault(error)}") from error
    except BrokenFileError as error:
        raise ManifestError(f"{error}; prepare the task again") from error
    expected = said.manifest_sha256
    if expected is not None and manifest.is_file() and sha256(manifest) != expected:
        remedy = "prepare the task again, or remove the sidecar if these are clips of your own"
        raise ManifestError(f"{path}: {manifest.name} was changed since; {remedy}")
    return said
