"""The page as one HTML file: all that it shows and runs is inside it, but for sounds it links to.

Names and labels reach the page as JSON, from which its script makes text, never markup or code. Its
policy lets only the scripts run that are written here, and lets it load nothing from elsewhere.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Int16, Shaped, UInt16

from byola_diff.explore.texts import TextSpace
from byola_diff.explore.vectors import page_module
from byola_diff.reports.players import LONGEST_S
from byola_diff.tables.manifest import Clip

_TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = ("search", "clips", "map", "lists", "player", "page")
_LIBRARY = ("bokeh", "bokeh-api", "bokeh-gl")
"""Parts of BokehJS, which draws the map."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page holds."""

    title: str
    lead: str
    notes: Sequence[str]
    """Paragraphs below, before the one on where its sounds are."""
    clips: Sequence[Clip]
    durations_s: Sequence[float]
    vectors: Int16[np.ndarray, "clip component"]
    positions: UInt16[np.ndarray, "clip xy"]
    texts: TextSpace | None
    pictures: Sequence[bytes]
    """WebP of each clip; none if they are not inside."""
    sounds: Sequence[bytes]
    """MP3 of each clip; none if they are not inside."""
    links: Sequence[str]
    """URL of each clip's file, where sounds are not inside; none if they are served."""

    @property
    def is_served(self) -> bool:
        """Whether sounds are neither inside nor linked to, but asked of the page's server."""
        return not (self.sounds or self.links)


def render_page(page: Page) -> str:
    """The whole file. The same content gives the same text.

    Raises:
        ModuleNotFoundError: If Bokeh or Jinja2 is absent; it names the extra.
    """
    jinja2 = page_module("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    scripts = [*_library(), *(_in_html(_own(f"{name}.js")) for name in _SCRIPTS)]
    trusted = jinja2.utils.markupsafe.Markup
    return environment.get_template("page.html").render(
        policy=_policy(scripts, is_served=page.is_served),
        title=page.title,
        style=trusted(_own("page.css")),
        lead=page.lead,
        notes=[*page.notes, _where_sounds_are(page)],
        has_texts=page.texts is not None,
        data=trusted(_json(_content(page))),
        pictures=[_base64(picture) for picture in page.pictures],
        sounds=[_base64(sound) for sound in page.sounds],
        scripts=[trusted(script) for script in scripts],
    )


def _where_sounds_are(page: Page) -> str:
    elsewhere = "It loads nothing from elsewhere and sends nothing."
    if page.is_served:
        where = "Sounds are played whole, by the command that serves this page, while it runs."
        elsewhere = "It loads sounds from that command alone and sends nothing elsewhere."
    elif page.links:
        where = "Sounds are played from their files: these and this page must stay where they are."
    else:
        where = f"Sounds are inside the page, the first {LONGEST_S:g} s of each, as MP3."
    return (
        f"{where} The page carries vectors of the sounds, from which much of what is heard in them "
        f"can be told. {elsewhere}"
    )


def _content(page: Page) -> dict[str, Any]:
    """What the script reads: columns with a value for each clip, and numbers packed in base64."""
    files = [PurePosixPath(clip.file) for clip in page.clips]
    folder_names = ["" if str(file.parent) == "." else str(file.parent) for file in files]
    label_names = [", ".join(clip.labels) for clip in page.clips]
    folders = sorted(set(folder_names))
    place_of = {name: place for place, name in enumerate(folders)}
    labels = sorted(set(label_names) - {""})
    number_of = {label: number for number, label in enumerate(labels)} | {"": -1}
    return {
        "names": [file.name for file in files],
        "folders": folders,
        "folder": [place_of[name] for name in folder_names],
        "labels": labels,
        "label": [number_of[name] for name in label_names],
        "starts": [clip.start_s for clip in page.clips],
        "durations": [round(duration_s, 2) for duration_s in page.durations_s],
        "positions": _packed(page.positions),
        "dim": page.vectors.shape[1],
        "vectors": _packed(page.vectors),
        "texts": None if page.texts is None else _text_content(page.texts),
        "links": list(page.links),
        "isServed": page.is_served,
    }


def _text_content(texts: TextSpace) -> dict[str, Any]:
    return {
        "words": list(texts.texts),
        "dim": texts.of_clips.shape[1],
        "clips": _packed(texts.of_clips),
        "latents": _packed(texts.of_texts),
    }


def _packed(numbers: Shaped[np.ndarray, "row column"]) -> str:
    """16-bit numbers in base64, the low byte first."""
    return _base64(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _json(content: dict[str, Any]) -> str:
    """ASCII in which no character can end the element that it is in."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def _policy(scripts: Sequence[str], is_served: bool) -> str:
    """Content security policy: the page's own scripts, by their hashes, and its own content.

    BokehJS makes functions for the graphics card out of text: hence 'unsafe-eval'.
    """
    hashes = [_base64(hashlib.sha256(script.encode()).digest()) for script in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    sounds = "connect-src 'self'; media-src blob:" if is_served else "media-src data: file: 'self'"
    return (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; "
        f"img-src data: blob:; {sounds}; base-uri 'none'; form-action 'none'"
    )


def _own(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()


@cache
def _library() -> tuple[str, ...]:
    resources = page_module("bokeh.resources")
    return tuple(map(_in_html, resources.Resources("inline", components=[*_LIBRARY]).js_raw))


def _in_html(script: str) -> str:
    """The script; inside HTML some of its letters would have meanings of their own.

    Raises:
        ValueError: If it has any of these.
    """
    found = [mark for mark in ("</script", "<!--", "<script") if mark in script.lower()]
    if found:
        raise ValueError(f"a script of the page holds {found[0]}, which would end it too soon")
    return script.strip()
