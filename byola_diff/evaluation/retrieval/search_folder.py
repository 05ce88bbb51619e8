"""The files of a folder in the order of their likeness to a recording changed as a text says."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Float32
from torch import Tensor

from byola_diff.audio.files import AudioFileError, find_audio, read_audio
from byola_diff.embeddings.extract import ExtractionOptions, UnreadableClipsError, embed
from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.retrieval.search_page import Match
from byola_diff.evaluation.retrieval.system import RetrievalSystem
from byola_diff.evaluation.retrieval.text_encoders import TextEncoder
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.preprocessing import Preprocessing


class Ranking(NamedTuple):
    """All files that can be read, the most alike first; equal ones by name."""

    matches: list[Match]
    unreadable: list[tuple[str, str]]
    """Files that can't, and why."""


def folder_manifest(folder: Path, query: Path) -> Manifest:
    """The audio files below a folder, without the query itself should it be one of them.

    Raises:
        NotADirectoryError: If there is no such folder.
        ValueError: If it has no other audio files.
    """
    files = [path for path in find_audio(folder) if path.resolve() != query.resolve()]
    if not files:
        raise ValueError(f"no audio files to search in {folder}")
    return _manifest(folder, [path.relative_to(folder).as_posix() for path in files])


def rank_folder(
    system: RetrievalSystem,
    named: NamedEncoder,
    text_encoder: TextEncoder,
    manifest: Manifest,
    query: Path,
    text: str,
    extraction: ExtractionOptions,
) -> Ranking:
    """Every file of the manifest by cosine to the query.

    Args:
        system: Trained with these two encoders.
        named: Audio encoder.
        text_encoder: Text encoder.
        manifest: Of the folder.
        query: The recording.
        text: How what is searched differs from it.
        extraction: How clips are embedded.

    Raises:
        ValueError: If no file can be read, or the text has no words.
        UnreadableClipsError: If the query can't be read.
    """
    wording = text_encoder.embed([text])
    own = embed(named, _manifest(query.parent, [query.name]), "scene", Preprocessing(), extraction)
    files, embeddings, unreadable = _embed_readable(named, manifest, extraction)
    cosines = (system.target(embeddings) @ system.query(own.scene, wording)[0]).tolist()
    matches = [Match(file, cosine) for file, cosine in zip(files, cosines, strict=True)]
    matches.sort(key=lambda match: (-match.score, match.file))
    return Ranking(matches, unreadable)


def _embed_readable(
    named: NamedEncoder, manifest: Manifest, extraction: ExtractionOptions
) -> tuple[list[str], Float32[Tensor, "clip feature"], list[tuple[str, str]]]:
    unreadable: list[tuple[str, str]] = []
    try:
        scene = embed(named, manifest, "scene", Preprocessing(), extraction).scene
    except UnreadableClipsError:
        # What could be read is in the cache; files are tried one by one in this case only.
        reasons = {clip.file: _fault(manifest.path(clip)) for clip in manifest.clips}
        unreadable = [(file, reason) for file, reason in reasons.items() if reason is not None]
        manifest = _manifest(
            manifest.root, [file for file, reason in reasons.items() if reason is None]
        )
        if not manifest.clips:
            raise ValueError(
                f"none of the {len(unreadable)} files in {manifest.root} can be read, such as "
                f"{unreadable[0][0]}: {unreadable[0][1]}"
            ) from None
        scene = embed(named, manifest, "scene", Preprocessing(), extraction).scene
    return [clip.file for clip in manifest.clips], scene, unreadable


def _fault(path: Path) -> str | None:
    try:
        read_audio(path)
    except AudioFileError as error:
        return error.reason
    return None


def _manifest(root: Path, files: Sequence[str]) -> Manifest:
    return Manifest(root, tuple(Clip(file, ()) for file in files), ())
