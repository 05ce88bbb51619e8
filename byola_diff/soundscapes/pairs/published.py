"""The published JAMS files of APwD and AudioDiffCaps: what they are called and what they refer to.

    apwd_rain_sc_dev_00000_s1.jams    scene, split, number, first or second clip of the pair
    adc_traffic_eval_0000_s1.jams     AudioDiffCaps; its second clips were never published

Sources carry the names of ESC-50 (1-100032-A-0.wav; fold 5 is for eval) and FSD50K (391684.wav).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from byola_diff.soundscapes.pairs.corpus import RequiredSources
from byola_diff.soundscapes.pairs.plan import EVAL_FOLD, SPLITS
from byola_diff.soundscapes.production.produce import Refusal
from byola_diff.soundscapes.render.jams_document import ROLES
from byola_diff.soundscapes.render.jams_file import JamsError, read_json
from byola_diff.soundscapes.render.plan import Role
from byola_diff.soundscapes.sources.preparation import SourceFile

_CLIP = re.compile(r"(?P<pair>(?P<set>.+)_(?P<split>dev|eval)_\d+)_s[12]")
_SCENE = re.compile(r"(?:apwd|adc)_(?P<scene>.+?)(?:_sc)?")
_ESC50 = re.compile(r"(?P<fold>[1-5])-\d+-[A-Z]-\d+\.wav")
_FSD50K = re.compile(r"\d+\.wav")
_LABEL = re.compile(r"[\w()-]+")


@dataclass(frozen=True)
class PublishedClip:
    """A JAMS file, and what its name says."""

    jams: Path
    name: str
    pair: str
    scene: str
    split: str


def published_clips(folder: Path) -> tuple[list[PublishedClip], list[Refusal]]:
    """Clips of all JAMS files below `folder`, sorted by name, and files that can't be used.

    `ValueError` is raised if there are none.
    """
    paths = sorted(folder.rglob("*.jams"), key=lambda path: path.relative_to(folder).as_posix())
    if not paths:
        raise ValueError(f"no JAMS files below {folder}")
    clips: dict[str, PublishedClip] = {}
    refused = []
    for path in paths:
        found = _CLIP.fullmatch(path.stem)
        if found is None:
            reason = "the name is not SET_dev_NUMBER_s1.jams, with eval or s2 for the others"
        elif path.stem in clips:
            reason = f"occurs twice: {clips[path.stem].jams} too"
        else:
            scene = _SCENE.fullmatch(found["set"])
            named = scene["scene"] if scene else found["set"]
            names = path.stem, found["pair"], named, found["split"]
            clips[path.stem] = PublishedClip(path, *names)
            continue
        refused.append(Refusal(path.relative_to(folder).as_posix(), reason))
    return sorted(clips.values(), key=lambda clip: clip.name), refused


def published_sources(clips: Iterable[PublishedClip], esc50: Path, fsd50k: Path) -> RequiredSources:
    """Sources of the clips, each once, sorted; clips that can't be read have none here.

    Missing are those that are in neither data set, or have no name of either.
    """
    of_clip = {clip.name: [(clip.split, *one) for one in _referred(clip.jams)] for clip in clips}
    files, leaks, missing = [], [], {}
    for split, role, label, name in sorted({one for found in of_clip.values() for one in found}):
        recording, home = _find(name, split, esc50, fsd50k)
        copy = f"{split}/{role}/{label}/{name}"
        if recording is None:
            missing[copy] = "is not in --esc50 or --fsd50k"
            continue
        leaks += [copy] if home != split else []
        is_background = role == "background" or bool(_FSD50K.fullmatch(name))
        files.append(SourceFile(recording, copy, is_background))
    names = {clip: tuple(map("/".join, found)) for clip, found in of_clip.items()}
    return RequiredSources(files, names, missing, tuple(leaks))


def _referred(jams: Path) -> list[tuple[Role, str, str]]:
    """Role, label and file name of each source; whatever is odd is left to the strict reader."""
    found = set()
    try:
        every = read_json(jams)["annotations"]
        for one in next(one for one in every if one["namespace"] == "scaper")["data"]:
            value = one["value"]
            role, label, path = value["role"], value["label"], PurePosixPath(value["source_file"])
            leaves = path.is_absolute() or ".." in path.parts
            if role in ROLES and _LABEL.fullmatch(label) and not leaves:
                found.add((role, label, path.name))
    except (JamsError, LookupError, StopIteration, TypeError):
        return []
    return sorted(found)


def _find(name: str, split: str, esc50: Path, fsd50k: Path) -> tuple[Path | None, str]:
    """Recording of that name, if there is one, and the split it belongs to."""
    if clip := _ESC50.fullmatch(name):
        home = "eval" if int(clip["fold"]) == EVAL_FOLD else "dev"
        places = [(esc50 / "audio" / name, home), (esc50 / name, home)]
    elif _FSD50K.fullmatch(name):
        homes = sorted(SPLITS, key=lambda home: home != split)
        places = [(fsd50k / f"FSD50K.{home}_audio" / name, home) for home in homes]
    else:
        places = []
    return next(((path, home) for path, home in places if path.is_file()), (None, split))
