"""Search a folder of audio by a recording and a text, with a trained retrieval system.

What is found is printed, and shown on a page that needs nothing else: sounds, spectrograms, scores.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch

from byola_diff.atomic import write_text
from byola_diff.audio.files import read_audio
from byola_diff.audio.find import find_audio
from byola_diff.encoders.open import NamedEncoder, names_code, names_hub, open_encoder
from byola_diff.evaluation.jobs import embed_readable, embed_whole
from byola_diff.evaluation.options import EmbeddingOptions, Encoder, Folder
from byola_diff.evaluation.retrieval.system import SystemAbout, load_system
from byola_diff.evaluation.retrieval.text_encoders import TextEncoder, open_text_encoder
from byola_diff.evaluation.retrieval.train import pair_manifest
from byola_diff.option_fields import Count
from byola_diff.reports.players import HeardClip, heard_clips
from byola_diff.reports.report import Section, Table, Text, render_html
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.pairs import read_pairs

_TITLE = "Search by a recording and a text"
_MAX_LISTED = 20
"""Files on the page that could not be read; the others are counted."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions(EmbeddingOptions):
    """Options of the verb `search`."""

    system: Folder
    """A trained system, such as runs/retrieval/NAME/seed_42."""
    query: Annotated[Path, "FILE"]
    """The recording to start from."""
    text: str
    """How the result should differ from it, as in 'add a dog, remove the rain'."""
    folder: Folder
    """Where to search for audio files."""
    encoder: Encoder | None = None
    """The encoder that the system was trained with, if it is not found by its name there."""
    top: Count = 10
    """Files to show."""
    out: Annotated[Path, "HTML"] = Path("runs/search.html")
    """The page."""


def search(options: SearchOptions) -> int:
    """Print and write what is found; returns the exit status.

    Raises:
        ValueError: If an encoder is not the one that the system was trained with, the text has no
            words, or nothing in the folder can be read.
        AudioFileError: If the query can't be read.
        OSError: If the system or the folder is not there.
        BrokenFileError: If a file of the system or of an encoder is broken.
    """
    system = load_system(options.system)
    about, query = system.about, options.query
    text_encoder = text_encoder_of(about, options.device)
    named = audio_encoder_of(about, options.encoder, options.device)
    manifest = _searched_files(options.folder, query)
    read_audio(query)
    wording = text_encoder.embed([options.text])
    warning = warning_of_unknown_words(about, text_encoder, options.text)
    if options.dry_run:
        print(f"{named.name}: {len(manifest.clips)} files to search; nothing written")
    else:
        own = embed_whole(named, _manifest(query.parent, [query.name]), options)
        searched, embeddings, unreadable = embed_readable(named, manifest, options)
        files = [clip.file for clip in searched.clips]
        cosines = (system.target(embeddings) @ system.query(own, wording)[0]).tolist()
        # The best first; equal ones by name.
        ranked = sorted(zip(files, cosines, strict=True), key=lambda match: (-match[1], match[0]))
        shown = ranked[: options.top]
        rows = [[str(n), f"{cosine:.3f}", file] for n, (file, cosine) in enumerate(shown, start=1)]
        for place, cosine, file in rows:
            print(f"{place:>4}  {cosine:>6}  {file}")
        if unreadable:
            print(f"{len(unreadable)} files could not be read and were left out")
        lead = (
            f"The {len(rows)} most alike of {len(files)} files in {options.folder}, the best "
            "first. The spectrograms share one range of colours and of time."
        )
        encoders = f"Audio by {named.name}, text by {about.text_encoder}"
        footer = f"{encoders}, trained on pairs of the scene {about.scene} with seed {about.seed}."
        sections = _sections(options, rows, warning, unreadable, named.encoder.sample_rate)
        write_text(options.out, render_html(_TITLE, lead, sections, footer))
        print(f"page: {options.out}")
    if warning:  # last of all, so that it is seen
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def _sections(
    options: SearchOptions,
    rows: Sequence[Sequence[str]],
    warning: str,
    unreadable: Sequence[tuple[str, str]],
    sample_rate: int,
) -> list[Section]:
    """Parts of the page: sounds are played at the rate of the encoder."""
    clips = [HeardClip(options.query, f"“{options.text}”\n{options.query.name}")]
    for place, cosine, file in rows:
        clips.append(HeardClip(options.folder / file, f"Place {place}, cosine {cosine}\n{file}"))
    query, *found = heard_clips(clips, sample_rate)
    said = [Text(f"{warning[0].upper()}{warning[1:]}.")] if warning else []
    scores = Table(["place", "cosine", "file"], rows, text_columns=frozenset({2}))
    sections = [Section("Query", [query, *said]), Section("Found", found)]
    sections.append(Section("Scores", [scores]))
    if unreadable:
        more = len(unreadable) - _MAX_LISTED
        note, reason = f"And {more} more." if more > 0 else "", frozenset({1})
        listed = unreadable[:_MAX_LISTED]
        reasons = Table(["file", "reason"], listed, note=note, text_columns=reason)
        lead = Text(f"{len(unreadable)} files could not be read.")
        sections.append(Section("Left out", [lead, reasons]))
    return sections


def warning_of_unknown_words(about: SystemAbout, text_encoder: TextEncoder, text: str) -> str:
    """A sentence on words that were in no text of the training; empty if all were."""
    words = text_encoder.vocabulary([text])
    if words is None or about.words is None or words <= set(about.words):
        return ""
    return (
        f"the system was trained without the words {', '.join(sorted(words - set(about.words)))}: "
        "to a bag of words they mean nothing, and what is found does not answer them"
    )


def text_encoder_of(about: SystemAbout, device: torch.device | str) -> TextEncoder:
    """The text encoder that a system was trained with; a `ValueError` if it is no longer that."""
    text_encoder = open_text_encoder(about.text_encoder, device)
    if text_encoder.content_hash != about.text_encoder_sha256:
        raise ValueError(
            f"{about.text_encoder} is not the text encoder that the system was trained with: its "
            "content is another one. Train the system again, or put the former files back"
        )
    return text_encoder


def audio_encoder_of(
    about: SystemAbout, word: str | None, device: torch.device | str
) -> NamedEncoder:
    """The encoder that a system was trained with, found by its own name or by `word`.

    If it took statistics of the training clips, the system has them; one of format 1 has not, and
    needs the table of the clips.

    Raises:
        ValueError: If it can't be opened, or is of another content.
        FileNotFoundError: If there is nothing at `word`.
    """
    pairs, of_pairs = Path(about.pairs), None
    content = about.encoder_sha256[:8]
    trained = f"the system was trained with {about.encoder} of content {content}"
    if about.statistics is None and pairs.is_file():
        of_pairs = pair_manifest(read_pairs(pairs))
    try:
        if word is None and names_code(about.encoder):
            raise ValueError("it is code, which runs only if you name it")
        if word is None and names_hub(about.encoder):
            raise ValueError("it is on the hub, from where it is fetched only if you name it")
        named = open_encoder(word or about.encoder, of_pairs, None, device, about.statistics)
    except (ValueError, FileNotFoundError) as error:
        if word is None:
            raise ValueError(
                f"the system was trained with {about.encoder!r}, which can't be opened here: "
                f"{error}. Say where it is by --encoder"
            ) from error
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{trained}, and {word} can't be opened for it: {error}") from error
    if named.content_hash != about.encoder_sha256:
        raise ValueError(
            f"{trained}, and {named.name} is of content {named.content_hash[:8]}: give the former "
            "as --encoder"
        )
    return named


def _searched_files(folder: Path, query: Path) -> Manifest:
    """The audio files below a folder, without the query itself should it be one of them."""
    files = [path for path in find_audio(folder) if path.resolve() != query.resolve()]
    if not files:
        raise ValueError(f"no audio files to search in {folder}")
    return _manifest(folder, [path.relative_to(folder).as_posix() for path in files])


def _manifest(root: Path, files: Sequence[str]) -> Manifest:
    return Manifest(root, tuple(Clip(file, ()) for file in files), ())
