"""Plans of soundscapes, the JAMS files that hold them, and the audio that is rendered of them."""

from byola_diff.soundscapes.render.jams_document import to_jams
from byola_diff.soundscapes.render.jams_file import read_jams
from byola_diff.soundscapes.render.plan import Event, Soundscape
from byola_diff.soundscapes.render.renderers import open_renderer

__all__ = ["Event", "Soundscape", "open_renderer", "read_jams", "to_jams"]
