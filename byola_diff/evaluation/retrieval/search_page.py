"""What a search found, as one HTML file that needs nothing else: sounds, spectrograms, scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from byola_diff.atomic import write_text
from byola_diff.reports.players import HeardClip, heard_clips
from byola_diff.reports.report import Section, Table, Text, render_html

_MAX_LISTED = 20


@dataclass(frozen=True)
class Match:
    """A file that was found."""

    file: str
    """Relative to the folder."""
    score: float
    """Cosine, in -1..1."""


@dataclass(frozen=True)
class SearchResult:
    """A query, and what is most like it in a folder."""

    query: Path
    text: str
    folder: Path
    matches: Sequence[Match]
    """The best first; those to be shown."""
    n_files: int
    """How many were ranked."""
    unreadable: Sequence[tuple[str, str]] = ()
    """Files that were left out, and why."""
    about: str = ""
    """What the search was made with."""
    warning: str = ""
    """What speaks against what was found."""


def matches_table(result: SearchResult) -> Table:
    """Place, cosine and file of each match."""
    rows = [
        [str(place), f"{match.score:.3f}", match.file]
        for place, match in enumerate(result.matches, start=1)
    ]
    return Table(["place", "cosine", "file"], rows, text_columns=frozenset({2}))


def write_search_page(path: Path, result: SearchResult, sample_rate: int) -> None:
    """Write the page, whole or not at all.

    Args:
        path: Where the HTML file goes.
        result: What to show.
        sample_rate: At which clips are played, in Hz: that of the encoder.

    Raises:
        AudioFileError: If a file to be shown can't be read any more.
        ModuleNotFoundError: If Matplotlib is absent; it names the extra.
    """
    clips = [HeardClip(result.query, f"“{result.text}”\n{result.query.name}")]
    for place, match in enumerate(result.matches, start=1):
        caption = f"Place {place}, cosine {match.score:.3f}\n{match.file}"
        clips.append(HeardClip(result.folder / match.file, caption))
    query, *found = heard_clips(clips, sample_rate)
    warning = [Text(f"{result.warning[0].upper()}{result.warning[1:]}.")] if result.warning else []
    sections = [
        Section("Query", [query, *warning]),
        Section("Found", found),
        Section("Scores", [matches_table(result)]),
    ]
    if result.unreadable:
        sections.append(Section("Left out", _left_out(result.unreadable)))
    lead = (
        f"The {len(result.matches)} most alike of {result.n_files} files in {result.folder}, the "
        "best first. The spectrograms share one range of colours and of time."
    )
    write_text(path, render_html("Search by a recording and a text", lead, sections, result.about))


def _left_out(unreadable: Sequence[tuple[str, str]]) -> list[Text | Table]:
    rows = [[file, reason] for file, reason in unreadable[:_MAX_LISTED]]
    more = len(unreadable) - len(rows)
    note = f"And {more} more." if more else ""
    return [
        Text(f"{len(unreadable)} files could not be read."),
        Table(["file", "reason"], rows, note=note, text_columns=frozenset({1})),
    ]
