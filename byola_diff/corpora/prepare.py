"""From the extracted folder of a data set to our manifest, with everything counted.

What is missing or not as published is refused, or recorded beside the manifest if the user wants to
go on: a score on part of a task must not pass for one on the whole.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from byola_diff.atomic import write_text
from byola_diff.corpora.layout import LayoutError
from byola_diff.corpora.registry import OwnSplit, TaskSpec
from byola_diff.corpora.task import sidecar_path
from byola_diff.storage import sealed_json, sha256
from byola_diff.tables.manifest import (
    Clip,
    check_files_once,
    check_groups,
    check_splits,
    write_manifest,
)
from byola_diff.tables.rows import SPLITS, AbsentFileError, ClipFiles

_SHOWN = 10


class TaskDataError(ValueError):
    """Data that no task can be made of; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the user decides."""

    split_file: Annotated[Path, "CSV"] | None = None
    """The split, if none comes with the data."""
    seed: Annotated[int, "N"] = 0
    """Seed of our own split."""
    allow_missing: Annotated[float, "SHARE"] = 0.0
    """Share of the listed files that may be absent."""
    allow_partial: bool = False
    """Go on if the numbers of clips or classes are not those published."""


def prepare_task(spec: TaskSpec, source: Path, out: Path, choices: Choices) -> dict[str, Any]:
    """Write the manifest to `out` and its sidecar next to it; returns what the sidecar says.

    Raises:
        TaskDataError: If the folder has another layout, too many files are missing, the counts are
            not those published, a group leaks, or a split is empty.
    """
    own = spec.clips if isinstance(spec.clips, OwnSplit) else None
    expected = own.counts if own and choices.split_file is None else spec.counts
    with _explained(spec, source):
        listed = _listed(spec, source, choices)
        files = ClipFiles(source)
        clips, missing = _present(files, listed)
        _refuse_missing(missing, len(listed), choices.allow_missing)
        if not choices.allow_partial and (found := deviations(count(listed), expected)):
            raise ValueError(
                f"the data are not those published: {'; '.join(found)}\n"
                "Extract them anew, or take them as they are with --allow-partial"
            )
        if not clips:
            raise LayoutError("no clips found")
        check_files_once(clips, "file", files)
        check_groups(clips)
        check_splits(clips, () if clips[0].split is None else SPLITS)
        write_manifest(out, clips)
    counts = count(clips)
    found = deviations(counts, expected)
    facts = _known(spec, source, out) | _split(spec, choices, found)
    facts |= {"counts": counts, "expected": dict(expected)}
    facts |= {"listed": len(listed), "missing": len(missing), "first_missing": missing[:_SHOWN]}
    facts["manifest_sha256"] = sha256(out)
    write_text(sidecar_path(out), sealed_json(facts))
    return facts


def count(clips: Sequence[Clip]) -> dict[str, int]:
    """Number of clips by split or "fold K", then of "clips" and "classes"."""
    splits = Counter(clip.split for clip in clips)
    folds = Counter(clip.fold for clip in clips if clip.fold is not None)
    counts = {split: splits[split] for split in SPLITS if split in splits}
    counts |= {f"fold {fold}": folds[fold] for fold in sorted(folds)}
    classes = {label for clip in clips for label in clip.labels}
    return counts | {"clips": len(clips), "classes": len(classes)}


def deviations(counts: Mapping[str, int], expected: Mapping[str, int]) -> list[str]:
    """In what the counts differ from those expected, in words."""
    return [
        f"{name}: {counts.get(name, 0)}, not {number}"
        for name, number in expected.items()
        if counts.get(name, 0) != number
    ]


@contextmanager
def _explained(spec: TaskSpec, source: Path) -> Iterator[None]:
    """Say what was expected, for a folder of another layout."""
    try:
        yield
    except LayoutError as error:
        expectation = f"{source} must hold {spec.layout}, as extracted from {spec.where}"
        raise TaskDataError(f"{error}\n{expectation}") from error
    except ValueError as error:
        raise TaskDataError(str(error)) from error


def _listed(spec: TaskSpec, source: Path, choices: Choices) -> list[Clip]:
    if isinstance(spec.clips, OwnSplit):
        clips = spec.clips.clips(source, choices.split_file, choices.seed)
    elif choices.split_file is None:
        clips = spec.clips(source)
    else:
        raise TaskDataError(f"{spec.name} comes with its split and takes no other")
    if unknown := {clip.split for clip in clips} - {*SPLITS, None}:
        names = ", ".join(repr(name) for name in unknown)
        raise TaskDataError(f"unknown split {names} in {choices.split_file}: not {SPLITS}")
    return clips


def _present(files: ClipFiles, listed: Sequence[Clip]) -> tuple[list[Clip], list[str]]:
    """Clips with a file, and the names of the absent files."""
    clips, missing = [], []
    for clip in listed:
        try:
            clips.append(replace(clip, file=files.check(clip.file)))
        except AbsentFileError:
            missing.append(clip.file)
    return clips, missing


def _refuse_missing(missing: Sequence[str], n_listed: int, allowed: float) -> None:
    if len(missing) > allowed * n_listed:
        shown = "\n".join(f"  {file}" for file in missing[:_SHOWN])
        more = "\n  ..." if len(missing) > _SHOWN else ""
        raise TaskDataError(
            f"{len(missing)} of {n_listed} listed files are missing "
            f"({allowed:.1%} allowed), the first:\n{shown}{more}\n"
            "Extract all archives into this folder, or allow a larger share with --allow-missing"
        )


def _split(spec: TaskSpec, choices: Choices, found: Sequence[str]) -> dict[str, Any]:
    """The name of the split, and all deviations: those found, and its own if it has another."""
    split_file, seed = choices.split_file, choices.seed
    if not isinstance(spec.clips, OwnSplit):
        return {"split": "published", "deviations": [*found]}
    split = f"our own, seed {seed}" if split_file is None else f"file {split_file.name}"
    # A user's file is the published one if the size of each split is known, and none deviates.
    is_known = split_file is not None and set(SPLITS) <= spec.counts.keys()
    other = [] if is_known and not found else [f"split: {split}"]
    return {"split": split, "deviations": [*other, *found]}


def _known(spec: TaskSpec, source: Path, out: Path) -> dict[str, Any]:
    here = source.resolve() == out.parent.resolve()
    known = ("title", "unit_s", "metric", "where", "licence")
    return {
        "task": spec.name,
        **{name: getattr(spec, name) for name in known},
        # A folder that is moved as a whole stays usable.
        "source": "." if here else os.fspath(source.resolve()),
    }
