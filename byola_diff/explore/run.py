"""From a folder of audio to a page: vectors, map, sounds and pictures, texts."""

import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

from jaxtyping import Float32
from torch import Tensor

from byola_diff.atomic import UNDECODABLE, write_text
from byola_diff.encoders.open import NamedEncoder, open_encoder
from byola_diff.evaluation.jobs import count_embedded, embed_readable
from byola_diff.evaluation.options import EmbeddingOptions, Encoder, Folder, Table
from byola_diff.evaluation.retrieval.search_run import audio_encoder_of
from byola_diff.evaluation.retrieval.system import load_system
from byola_diff.explore.clips import clips_of
from byola_diff.explore.page import Page, render_page
from byola_diff.explore.previews import (
    MP3_BYTES_PER_S,
    Preview,
    duration_s,
    link_to,
    preview,
    whole_wav,
)
from byola_diff.explore.serve import PageServer, serve_until_stopped
from byola_diff.explore.texts import Texts, texts_of
from byola_diff.explore.vectors import map_positions, page_module, page_vectors
from byola_diff.models.hub import HUB
from byola_diff.option_fields import POSITIONAL
from byola_diff.progress import progress
from byola_diff.reports.players import LONGEST_S
from byola_diff.tables.manifest import Manifest

DEFAULT_ENCODER = "byola-diff"
_LOWEST_PORT = 1024
_MB = 1_000_000
_PER_BYTE = 4 / 3
"""Characters of base64."""
_MAX_LISTED = 20
"""Files on the page that could not be read; the others are counted."""


@dataclass(frozen=True, kw_only=True)
class ExploreOptions(EmbeddingOptions):
    """Which sounds a page shows, how they are compared, and where it goes."""

    folder: Annotated[Path, POSITIONAL, "DIR"]
    """Folder that is searched for audio files."""
    encoder: Encoder | None = None
    """What compares the sounds, as in `evaluate` (default: byola-diff; with --system, its own)."""
    labels: Table | None = None
    """A manifest with labels of the files (columns file and label); else folders have colours."""
    out: Annotated[Path, "HTML"] = Path("runs/explore.html")
    """The page."""
    inside_mb: Annotated[int, "MB"] = 60
    """How much of the page pictures and sounds may be: pictures are inside if they all fit, then
    sounds if they fit too, as MP3 of their first 30 s; sounds that do not fit are links to the
    files."""
    system: Folder | None = None
    """A retrieval system of `evaluate retrieval`, to search by words."""
    texts: Annotated[list[str], "TEXT"] = field(default_factory=list)
    """The words that can be chosen on the page, as in 'add rain' 'remove the dog'."""
    serve: bool = False
    """Then serve the page with whole sounds to browsers of this machine, until Ctrl-C."""
    port: Annotated[int, "N"] = 0
    """Where to serve it, from 1024 on; any free one if 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.system is None) != (not self.texts):
            raise ValueError("--system and --texts go together")
        if self.inside_mb < 0:
            raise ValueError("--inside-mb must be at least 0")
        if self.out.is_dir():
            raise ValueError(f"--out {self.out} is a folder: name a file, such as page.html in it")
        if self.port and not self.serve:
            raise ValueError("--port is where --serve serves the page: give both")
        if self.port and not _LOWEST_PORT <= self.port < 65536:  # browsers leave out port 80
            raise ValueError(f"--port must be from {_LOWEST_PORT} to 65535, or 0 for any free one")


class Previews(NamedTuple):
    """What is inside a page, of each clip or of none."""

    durations_s: list[float]
    pictures: list[bytes]
    sounds: list[bytes]


def explore(options: ExploreOptions) -> int:
    """Write the page, and serve it if that is asked for; returns the exit status.

    Raises:
        ValueError: If the options, the encoder or the texts can't be used, or no file can be read.
        OSError: If the folder, the system or the port can't be used.
        ModuleNotFoundError: If a package of the extra is absent.
    """
    for module in ("bokeh.resources", "jinja2", "matplotlib", "PIL", "sklearn", "threadpoolctl"):
        page_module(module)
    # A port that can't be had is told of before the work.
    with PageServer(options.port) if options.serve else nullcontext() as server:
        return _explore(options, server)


def _explore(options: ExploreOptions, server: PageServer | None) -> int:
    manifest = clips_of(options.folder, options.labels)
    named, texts = _encoder_and_texts(options, manifest)
    if options.dry_run:
        n_cached = count_embedded(named, manifest, options)
        print(f"{named.name}: {len(manifest.clips)} clips, {n_cached} of them cached; no page made")
        return 0
    manifest, embeddings, unreadable = embed_readable(named, manifest, options)
    page = _page(options, named, texts, manifest, embeddings, unreadable)
    write_text(options.out, render_page(page))
    size_mb = options.out.stat().st_size / _MB
    print(f"page: {options.out}, {len(manifest.clips)} clips, {size_mb:.1f} MB")
    for warning in (*(texts.warnings if texts else ()), *_left_out(unreadable)):
        print(f"warning: {warning}", file=sys.stderr)
    if server is not None:
        _serve(server, replace(page, sounds=(), links=()), manifest)
    return 0


def _encoder_and_texts(
    options: ExploreOptions, manifest: Manifest
) -> tuple[NamedEncoder, Texts | None]:
    if options.system is None:
        word = options.encoder or DEFAULT_ENCODER
        return open_encoder(word, manifest, None, options.device), None
    system = load_system(options.system)
    texts = texts_of(system, options.texts, options.device)
    return audio_encoder_of(system.about, options.encoder, options.device), texts


def _page(
    options: ExploreOptions,
    named: NamedEncoder,
    texts: Texts | None,
    manifest: Manifest,
    embeddings: Float32[Tensor, "clip dim"],
    unreadable: Sequence[tuple[str, str]],
) -> Page:
    previews = previews_of(manifest, options.inside_mb * _MB, options.workers)
    vectors = page_vectors(embeddings)
    name, encoder = options.folder.resolve().name or "all", _shown(named.name)
    return Page(
        title=f"Sounds of {name}",
        lead=f"{len(manifest.clips)} sounds, compared by {encoder}: alike ones are close.",
        notes=[
            _how(named, vectors.shape[1]),
            *_left_out(unreadable),
            *(texts.warnings if texts else ()),
        ],
        clips=manifest.clips,
        durations_s=previews.durations_s,
        vectors=vectors,
        positions=map_positions(vectors),
        texts=texts.space(embeddings) if texts else None,
        pictures=previews.pictures,
        sounds=previews.sounds,
        links=() if previews.sounds else _links(manifest, options.out),
    )


def _how(named: NamedEncoder, n_components: int) -> str:
    return (
        f"Compared by the embeddings of {_shown(named.name)} ({named.content_hash[:8]}), "
        f"standardised over these sounds, in their first {n_components} principal components. "
        "Figures beside names are cosines: 1 is the same direction, 0 none in common. The map "
        "arranges the same directions by t-SNE: neighbours on it are alike, large distances mean "
        "little."
    )


def _shown(encoder: str) -> str:
    """An encoder's name without the folders that its files lie in; a bundle of the hub in full."""
    return re.sub(rf"({HUB}[^:]*)|[^:]*/(?=[^:/])", r"\1", encoder).rstrip("/")


def previews_of(manifest: Manifest, most_bytes: int, n_workers: int) -> Previews:
    """Lengths of all clips, their pictures if all fit into a page, and their sounds if they do too.

    Raises:
        AudioFileError: If a file can't be read.
    """
    with ThreadPoolExecutor(n_workers) as pool:
        durations_s = list(pool.map(partial(duration_s, manifest), manifest.clips))
    heard_s = sum(min(each, LONGEST_S) for each in durations_s)
    # MP3 takes longer to make than all else: not for sounds that will not fit.
    with_sounds = heard_s * MP3_BYTES_PER_S * _PER_BYTE <= most_bytes
    made = list(_previews(manifest, with_sounds, n_workers))
    pictures, sounds = [each.picture for each in made], [each.mp3 for each in made]
    if sum(map(len, pictures)) * _PER_BYTE > most_bytes:
        return Previews(durations_s, [], [])
    if not with_sounds or sum(map(len, pictures + sounds)) * _PER_BYTE > most_bytes:
        return Previews(durations_s, pictures, [])
    return Previews(durations_s, pictures, sounds)


def _previews(manifest: Manifest, with_sounds: bool, n_workers: int) -> Iterator[Preview]:
    make = partial(preview, manifest, with_sound=with_sounds)
    with ThreadPoolExecutor(n_workers) as pool:
        try:
            made = pool.map(make, manifest.clips)
            n_clips = len(manifest.clips)
            yield from progress(made, title="previews", total=n_clips, unit="clips")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _links(manifest: Manifest, page: Path) -> list[str]:
    return [link_to(manifest.path(clip), page, clip) for clip in manifest.clips]


def _left_out(unreadable: Sequence[tuple[str, str]]) -> list[str]:
    if not unreadable:
        return []
    listed = [f"{file} ({reason})" for file, reason in unreadable[:_MAX_LISTED]]
    more = len(unreadable) - len(listed)
    listed += [f"and {more} more"] if more > 0 else []
    return [f"{len(unreadable)} files could not be read and are left out: {'; '.join(listed)}"]


def _serve(server: PageServer, page: Page, manifest: Manifest) -> None:
    def sound(number: int) -> bytes:
        return whole_wav(manifest, manifest.clips[number])

    server.offer(render_page(page).encode(errors=UNDECODABLE), sound, len(manifest.clips))
    print(f"serving {server.address} to this machine; Ctrl-C ends it", flush=True)
    serve_until_stopped(server)
