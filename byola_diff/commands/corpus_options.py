"""Options of the commands that make a corpus, and errors that end them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from byola_diff.audio.files import AudioFileError
from byola_diff.option_fields import Count
from byola_diff.soundscapes.render.renderers import RendererName

USER_ERRORS = (AudioFileError, ModuleNotFoundError, OSError, RuntimeError, ValueError)
"""What users can mend: said in a line, without a traceback."""

PROCEDURAL = "procedural"
"""Given instead of a folder of recordings."""

Folder = Annotated[Path, "DIR"]


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """How a corpus is rendered, and where to."""

    out: Folder
    """Folder of the corpus."""
    seed: Annotated[int, "N"] = 0
    """Seed of all draws."""
    workers: Count = 1
    """Processes."""
    renderer: RendererName = "auto"
    """Scaper or our own mixer; auto is Scaper where it is installed."""
    output_rate: Annotated[Count, "HZ"] | None = None
    """Resample the finished files once, such as to 16000 Hz."""
    dry_run: bool = False
    """Say what there is to make, and stop; nothing is written."""
