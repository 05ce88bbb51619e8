"""Soundscapes read from JAMS files with an annotation of the namespace `scaper`.

They come from elsewhere: read as plain JSON of limited size, nothing in them is trusted, and every
error names file and field. Files that we write hold paths below the folder of sources. In others,
such as APwD's, only the last folder and the name of a source count, as for Scaper.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NoReturn
from unicodedata import normalize

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from byola_diff.soundscapes.render.jams_document import N_DISTRIBUTIONS, OURS
from byola_diff.soundscapes.render.plan import Event, Role, Roots, Soundscape
from byola_diff.tables.manifest import ROUNDING_S
from byola_diff.tables.rows import ClipFiles, Name, located
from byola_diff.tables.validation import reason

_MOST_BYTES = 1 << 22
_DISTRIBUTIONS = ("const", "choose", "choose_weighted", "uniform", "normal", "truncnorm")


class JamsError(ValueError):
    """A JAMS file that can't be used; names the file and the field."""


def _known_distribution(parts: list[Any]) -> list[Any]:
    if not parts or parts[0] not in _DISTRIBUTIONS:
        known = ", ".join(_DISTRIBUTIONS)
        raise ValueError(f"{str(parts)[:80]} is no distribution of Scaper, which are {known}")
    return parts


def _distributions(event: Any) -> Any:
    return event[:N_DISTRIBUTIONS] if isinstance(event, list) else event


def _first_of_scaper(annotations: Any) -> dict[int, Any]:
    """The annotation that Scaper would render, under its place in the list."""
    every = enumerate(annotations if isinstance(annotations, list) else [])
    for place, one in every:
        if isinstance(one, dict) and one.get("namespace") == "scaper":
            return {place: one}
    raise ValueError("none has the namespace scaper")


def _only(*supported: Any) -> AfterValidator:
    """Refuses what Scaper would do, but we do not."""

    def refuse_others(value: Any) -> None:
        if not any(value is one for one in supported):
            raise ValueError(f"{json.dumps(value)} is not supported")

    return AfterValidator(refuse_others)


_Seconds = Annotated[float, Field(ge=0, le=3600)]
_Absent = Annotated[Any, _only(None)]
_Off = Annotated[Any, _only(None, False)]
_Distribution = Annotated[list[Any], AfterValidator(_known_distribution)]
_Specification = list[Annotated[list[_Distribution], BeforeValidator(_distributions)]]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True)


class _Value(_Model):
    role: Role
    label: Name
    source_file: str
    source_time: Annotated[float, Field(ge=0, le=1e6)]
    event_time: _Seconds
    event_duration: Annotated[_Seconds, Field(gt=0)]
    snr: Annotated[float, Field(ge=-200, le=200)]
    pitch_shift: _Absent
    time_stretch: _Absent


class _Observation(_Model):
    value: _Value
    time: _Seconds | None = None
    duration: _Seconds | None = None


class _Settings(_Model):
    """What Scaper was told; whatever else would change the sound is refused."""

    duration_s: Annotated[_Seconds, Field(ge=1e-3)] = Field(
        validation_alias=AliasChoices("original_duration", "duration")
    )
    n_channels: Literal[1]
    sr: Annotated[float, Field(ge=1, le=768_000, multiple_of=1)]
    ref_db: Annotated[float, Field(ge=-200, le=100)]
    fade_in_len: _Seconds
    fade_out_len: _Seconds
    reverb: _Absent = None
    fix_clipping: _Off = None
    peak_normalization: _Off = None
    fg_spec: _Specification = []
    bg_spec: _Specification = []


class _Annotation(_Model):
    scaper: _Settings = Field(validation_alias=AliasPath("sandbox", "scaper"))
    slice: Any = Field(None, validation_alias=AliasPath("sandbox", "slice"))
    data: list[_Observation]


class _Jams(_Model):
    annotations: Annotated[dict[int, _Annotation], BeforeValidator(_first_of_scaper)]
    title: Any = Field("", validation_alias=AliasPath("file_metadata", "title"))
    facts: Any = Field(None, validation_alias=AliasPath("sandbox", OURS))


def read_jams(path: Path, roots: Roots) -> Soundscape:
    """The soundscape that a JAMS file describes.

    Its name is the title in files of ours, else the name of the file. No source may lie outside of
    the folder of its role, not even through a link.

    Raises:
        JamsError: If the file is not JSON of at most 4 MiB, has no annotation of the namespace
            scaper, a field is missing or out of range, a source is missing, outside of its folder
            or not in that of its label, or something is not supported: several channels,
            reverberation, a change of pitch, tempo or level of the whole, a trimmed soundscape, or
            a distribution that Scaper does not have. Also if times do not go together: an event
            lasts beyond the soundscape, or is elsewhere than its observation says. Names the field.
    """
    document = read_json(path)
    try:
        jams = _Jams.model_validate(document)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"]]
        what = re.sub(r" or instance of \w+", "", reason(fault))
        where = "".join(steps).removeprefix(".") or "top level"
        raise JamsError(f"{path}: {where}: {what}") from None
    [(place, annotation)] = jams.annotations.items()
    scaper, ours = annotation.scaper, jams.facts is not None
    files: dict[Role, ClipFiles] = {role: ClipFiles(root) for role, root in roots.items()}
    events = []
    with located(f"{path}: annotations[{place}].", JamsError):
        if annotation.slice is not None:
            raise ValueError("sandbox.slice: a trimmed soundscape is not supported")
        if scaper.fade_in_len != scaper.fade_out_len:
            raise ValueError("sandbox.scaper.fade_out_len: is not fade_in_len: not supported")
        for number, one in enumerate(annotation.data):
            with located(f"data[{number}].value."):
                events.append(_event(one.value, files, scaper.duration_s, ours))
        name = str(jams.title or path.stem) if ours else path.stem
        how = int(scaper.sr), scaper.ref_db, tuple(events), scaper.fade_in_len
        with located("data: "):
            plan = Soundscape(name, scaper.duration_s, *how)
        for number, one in enumerate(annotation.data):
            with located(f"data[{number}]."):
                _check_times(one, scaper.duration_s)
    return plan


def read_facts(path: Path) -> dict[str, Any] | None:
    """Facts that `to_jams` was given, or None if there is no such file of ours."""
    try:
        facts = read_json(path)["sandbox"][OURS]
    except (JamsError, LookupError, TypeError):
        return None
    return facts if isinstance(facts, dict) else None


def _check_times(one: _Observation, soundscape_s: float) -> None:
    """Raise `ValueError` that begins with the field at fault, if times do not go together."""
    value = one.value
    for name, said_s, is_s in (
        ("time", one.time, value.event_time),
        ("duration", one.duration, value.event_duration),
    ):
        if said_s is not None and abs(said_s - is_s) > ROUNDING_S:
            raise ValueError(f"{name}: {said_s:g}, but value.event_{name} is {is_s:g}")
    end_s = value.event_time + value.event_duration
    if end_s > soundscape_s + ROUNDING_S and value.role == "foreground":
        ends = f"ends at {end_s:g} s, after the soundscape of {soundscape_s:g} s"
        raise ValueError(f"value.event_duration: {ends}")


def _event(
    value: _Value, files: Mapping[Role, ClipFiles], soundscape_s: float, ours: bool
) -> Event:
    """An event as planned; raises `ValueError` that begins with the field at fault."""
    length_s, is_background = value.event_duration, value.role == "background"
    if is_background and abs(length_s - soundscape_s) > 1e-6:
        lasts = f"{length_s:g} s, but a background lasts {soundscape_s:g} s"
        raise ValueError(f"event_duration: {lasts}")
    with located("source_file: "):
        path = PurePosixPath(value.source_file)
        folder, label = path.parent.name, value.label
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{str(path)!r} leaves the folder of sources")
        if not ours and normalize("NFC", folder) != label:
            raise ValueError(f"lies in the folder {folder!r}, not in that of its label {label!r}")
        if value.role not in files:
            raise ValueError(f"no folder of {value.role} sources is given")
        source = str(path if ours else PurePosixPath(*path.parts[-2:]))
        source = files[value.role].check(source)
    times_s = value.source_time, value.event_time, math.inf if is_background else length_s
    with located("event_time: "):
        return Event(value.role, label, source, *times_s, value.snr)


def read_json(path: Path) -> Any:
    """What a JAMS file holds; `JamsError` if it is unreadable, larger than 4 MiB or not JSON."""
    with located(f"{path}: ", JamsError):
        try:
            with path.open("rb") as stream:
                content = stream.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise ValueError(f"larger than {_MOST_BYTES >> 20} MiB")
            with located("top level: not JSON: "):
                return json.loads(content.decode(), parse_constant=_no_constant)
        except OSError as error:
            raise ValueError(f"unreadable: {error.strerror}") from error
        except RecursionError as error:
            raise ValueError(f"top level: not JSON: {error}") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")
