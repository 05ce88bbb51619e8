"""Search a folder of audio by a recording and a text, with a trained retrieval system."""

import sys
from pathlib import Path

import torch

from byola_diff.audio.files import read_audio
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.jobs import extraction_options, open_on
from byola_diff.evaluation.retrieval.bag_of_words import words_of
from byola_diff.evaluation.retrieval.embedded_pairs import pair_manifest
from byola_diff.evaluation.retrieval.options import SearchOptions
from byola_diff.evaluation.retrieval.search_folder import folder_manifest, rank_folder
from byola_diff.evaluation.retrieval.search_page import (
    SearchResult,
    matches_table,
    write_search_page,
)
from byola_diff.evaluation.retrieval.system import SystemAbout, load_system
from byola_diff.evaluation.retrieval.text_encoders import TextEncoder, open_text_encoder
from byola_diff.tables.pairs import read_pairs
from byola_diff.tables.preprocessing import Preprocessing


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
    text_encoder = _text_encoder(system.about, options.device)
    named = _audio_encoder(system.about, options.encoder, options.device)
    manifest = folder_manifest(options.folder, options.query)
    read_audio(options.query)
    text_encoder.embed([options.text])
    unknown = _unknown_words(system.about, options.text)
    if options.dry_run:
        print(f"{named.name}: {len(manifest.clips)} files to search; nothing written")
        return _told(unknown)
    about = (system, named, text_encoder, manifest, options.query, options.text)
    ranking = rank_folder(*about, extraction_options(options))
    result = SearchResult(
        query=options.query,
        text=options.text,
        folder=options.folder,
        matches=ranking.matches[: options.top],
        n_files=len(ranking.matches),
        unreadable=ranking.unreadable,
        about=f"Audio by {named.name}, text by {system.about.text_encoder}, trained on pairs of "
        f"the scene {system.about.scene} with seed {system.about.seed}.",
        warning=unknown,
    )
    _print(result)
    write_search_page(options.out, result, named.encoder.sample_rate)
    print(f"page: {options.out}")
    return _told(unknown)


def _told(warning: str) -> int:
    """Print what speaks against the result, last of all; exit status of a search."""
    if warning:
        print(f"evaluate.py: {warning}", file=sys.stderr)
    return 0


def _unknown_words(about: SystemAbout, text: str) -> str:
    """A sentence on words that were in no text of the training; empty if all were."""
    unknown = sorted(words_of(text) - set(about.words)) if about.words is not None else []
    if not unknown:
        return ""
    return (
        f"the system was trained without the words {', '.join(unknown)}: to a bag of words they "
        "mean nothing, and what is found does not answer them"
    )


def _text_encoder(about: SystemAbout, device: torch.device | str) -> TextEncoder:
    text_encoder = open_text_encoder(about.text_encoder, device)
    if text_encoder.content_hash != about.text_encoder_sha256:
        raise ValueError(
            f"{about.text_encoder} is not the text encoder that the system was trained with: its "
            "content is another one. Train the system again, or put the former files back"
        )
    return text_encoder


def _audio_encoder(
    about: SystemAbout, word: str | None, device: torch.device | str
) -> NamedEncoder:
    """The encoder of the system, found by its content.

    One that took its statistics from the training clips needs their table to be opened again.
    """
    try:
        named = open_on(device, word or about.encoder, None, None)
    except (ValueError, FileNotFoundError) as error:
        if word is not None:
            raise
        raise ValueError(
            f"the system was trained with {about.encoder!r}, which can't be opened here: {error}. "
            "Say where it is by --encoder"
        ) from error
    pairs = Path(about.pairs)
    if named.content_hash != about.encoder_sha256 and pairs.is_file():
        manifest = pair_manifest(read_pairs(pairs))
        named = open_on(device, word or about.encoder, manifest, Preprocessing())
    if named.content_hash != about.encoder_sha256:
        raise ValueError(
            f"the system was trained with {about.encoder} of content {about.encoder_sha256[:8]}, "
            f"and {named.name} is of content {named.content_hash[:8]}: give the former as --encoder"
        )
    return named


def _print(result: SearchResult) -> None:
    for row in matches_table(result).rows:
        print(f"{row[0]:>4}  {row[1]:>6}  {row[2]}")
    if result.unreadable:
        print(f"{len(result.unreadable)} files could not be read and were left out")
