"""Soundscapes read from JAMS files with an annotation of the namespace `scaper`.

They come from elsewhere: read as plain JSON of limited size, nothing in them is trusted, and every
error names file and field. Files that we write hold paths below the folder of sources. In others,
such as APwD's, only the last folder and the name of a source count, as for Scaper.
"""

import json
import math
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from byola_diff.soundscapes.render.jams_document import OURS, ROLES
from byola_diff.soundscapes.render.plan import Event, Role, Roots, Soundscape
from byola_diff.tables.rows import ClipFiles

_MOST_BYTES = 1 << 22
_DISTRIBUTIONS = ("const", "choose", "choose_weighted", "uniform", "normal", "truncnorm")
_N_DISTRIBUTIONS = 6  # per event: label, source, its time, time, duration, SNR
_UNUSED = {"reverb": (None,), "fix_clipping": (None, False), "peak_normalization": (None, False)}
_LONGEST_S = 3600.0
_HIGHEST_HZ = 768_000.0


class JamsError(ValueError):
    """A JAMS file that can't be used; names the file and the field."""


class Field:
    """One value of the file, and where it stands."""

    def __init__(self, file: Path, value: Any, name: str = "") -> None:
        self.file, self.value, self.name = file, value, name

    def fail(self, reason: str) -> NoReturn:
        """Raise `JamsError` about this field."""
        raise JamsError(f"{self.file}: {self.name or 'top level'}: {reason}")

    def __getitem__(self, key: str) -> "Field":
        """The value under `key` of an object."""
        name = f"{self.name}.{key}" if self.name else key
        if key not in self:
            Field(self.file, None, name).fail("missing")
        return Field(self.file, self.value[key], name)

    def __contains__(self, key: str) -> bool:
        return key in self._being(dict, "an object")

    def __iter__(self) -> Iterator["Field"]:
        """The values of a list."""
        for place, value in enumerate(self._being(list, "a list")):
            yield Field(self.file, value, f"{self.name}[{place}]")

    def text(self) -> str:
        """The string."""
        return self._being(str, "a text")

    def number(self, least: float, most: float) -> float:
        """The finite number between `least` and `most`."""
        value = self._being(int | float, "a number")
        if isinstance(value, bool):
            self.fail(f"not a number but {_shown(value)}")
        # Compared before it is converted: an integer may be too large for a float.
        if not least <= value <= most:
            self.fail(f"{_shown(value)} is not a number from {least:g} to {most:g}")
        return float(value)

    def only(self, *allowed: Any) -> None:
        """Check that the value asks for nothing that is not supported."""
        if not any(self.value is one for one in allowed):
            self.fail(f"{_shown(self.value)} is not supported")

    def _being(self, kind: Any, words: str) -> Any:
        if not isinstance(self.value, kind):
            self.fail(f"not {words} but {_shown(self.value)}")
        return self.value


def read_jams(path: Path, roots: Roots) -> Soundscape:
    """The soundscape that a JAMS file describes; its name is the title, else that of the file.

    Args:
        path: The file, at most 4 MiB.
        roots: Folders that sources of each role lie below; none may lie outside, not even through
            a link.

    Raises:
        JamsError: If the file is not JSON or has no annotation of the namespace scaper, a field is
            missing or out of range, a source is missing, outside of its folder or not in that of
            its label, or something is asked for that is not supported: several channels,
            reverberation, a change of pitch or tempo, a change of the level of the whole, a trimmed
            soundscape, or a distribution that Scaper does not have. Names the field.
    """
    top = read_fields(path)
    annotation = scaper_annotation(top)
    settings = annotation["sandbox"]["scaper"]
    if "slice" in annotation["sandbox"]:
        annotation["sandbox"]["slice"].fail("a trimmed soundscape is not supported")
    length = "original_duration" if "original_duration" in settings else "duration"
    duration_s = settings[length].number(1e-3, _LONGEST_S)
    _check_settings(settings)
    sample_rate = settings["sr"].number(1.0, _HIGHEST_HZ)
    if sample_rate % 1:
        settings["sr"].fail(f"{sample_rate} Hz is not a whole number")
    ours = _is_ours(top)
    files: dict[Role, ClipFiles] = {role: ClipFiles(root) for role, root in roots.items()}
    events = [_event(one["value"], files, duration_s, ours) for one in annotation["data"]]
    title = top["file_metadata"]["title"].text() if ours else ""
    ref_db = settings["ref_db"].number(-200.0, 100.0)
    fade_s = settings["fade_in_len"].number(0.0, duration_s)
    name = title or path.stem
    try:
        return Soundscape(name, duration_s, int(sample_rate), ref_db, tuple(events), fade_s)
    except ValueError as error:
        annotation["data"].fail(str(error).removeprefix(f"{name}: "))


def read_facts(path: Path) -> dict[str, Any] | None:
    """Facts that `to_jams` was given, or None if there is no such file of ours."""
    try:
        facts = read_fields(path)["sandbox"][OURS].value
    except JamsError:
        return None
    return facts if isinstance(facts, dict) else None


def _is_ours(top: Field) -> bool:
    return "sandbox" in top and isinstance(top["sandbox"].value, dict) and OURS in top["sandbox"]


def scaper_annotation(top: Field) -> Field:
    """The first annotation that Scaper would render."""
    every = top["annotations"]
    found = next((one for one in every if one["namespace"].value == "scaper"), None)
    return found or every.fail("none has the namespace scaper")


def role_of(event: Field) -> Role | None:
    """Role of an event, None if it has an unknown one."""
    return next((role for role in ROLES if role == event["role"].value), None)


def _check_settings(settings: Field) -> None:
    """Refuse settings of Scaper that this package does not render."""
    if settings["n_channels"].value != 1:
        settings["n_channels"].fail("only 1 is supported")
    for name, allowed in _UNUSED.items():
        if name in settings:
            settings[name].only(*allowed)
    if settings["fade_in_len"].value != settings["fade_out_len"].value:
        settings["fade_out_len"].fail("is not fade_in_len, which is not supported")
    specs = [settings[name] for name in ("fg_spec", "bg_spec") if name in settings]
    for event in chain.from_iterable(specs):
        for distribution in list(event)[:_N_DISTRIBUTIONS]:
            kind = next(iter(distribution), distribution)
            if kind.value not in _DISTRIBUTIONS:
                kind.fail(f"no distribution of Scaper, which are {', '.join(_DISTRIBUTIONS)}")


def _event(value: Field, files: Mapping[Role, ClipFiles], duration_s: float, ours: bool) -> Event:
    role = role_of(value) or value["role"].fail("neither background nor foreground")
    for name in ("pitch_shift", "time_stretch"):
        value[name].only(None)
    length_s = value["event_duration"].number(1e-9, _LONGEST_S)
    if role == "background" and abs(length_s - duration_s) > 1e-6:
        value["event_duration"].fail(f"{length_s:g} s, but a background lasts {duration_s:g} s")
    times_s = value["source_time"].number(0.0, 1e6), value["event_time"].number(0.0, _LONGEST_S)
    label = value["label"].text()
    source = _source(value["source_file"], role, files, None if ours else label)
    snr_db = value["snr"].number(-200.0, 200.0)
    try:
        ends_s = length_s if role == "foreground" else math.inf
        return Event(role, label, source, *times_s, ends_s, snr_db)
    except ValueError as error:
        value.fail(str(error))


def _source(field: Field, role: Role, files: Mapping[Role, ClipFiles], label: str | None) -> str:
    """Path of a source below the folder of its role, checked; lies in that of `label`, if given."""
    path = PurePosixPath(field.text())
    if path.is_absolute() or ".." in path.parts:
        field.fail(f"{str(path)!r} leaves the folder of sources")
    if label is not None and path.parent.name != label:
        field.fail(f"lies in the folder {path.parent.name!r}, not in that of its label {label!r}")
    name = str(path) if label is None else str(PurePosixPath(*path.parts[-2:]))
    if role not in files:
        field.fail(f"no folder of {role} sources is given")
    try:
        files[role].check(name)
    except ValueError as error:
        field.fail(str(error))
    return name


def read_fields(path: Path) -> Field:
    """The top level of a JAMS file.

    Raises:
        JamsError: If the file can't be read, is larger than 4 MiB or is not a JSON object.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise JamsError(f"{path}: unreadable: {error.strerror}") from error
    top = Field(path, None)
    if len(content) > _MOST_BYTES:
        top.fail(f"larger than {_MOST_BYTES >> 20} MiB")
    try:
        top.value = json.loads(content.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        top.fail(f"not JSON: {error}")
    if not isinstance(top.value, dict):
        top.fail(f"not an object but {_shown(top.value)}")
    return top


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _shown(value: Any) -> str:
    """The value in few words."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and abs(value) > 1 << 64:
        return "a huge integer"
    return json.dumps(value)[:80]
