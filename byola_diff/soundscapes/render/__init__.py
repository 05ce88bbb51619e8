"""Plans of soundscapes, the JAMS files that hold them, and the audio that is rendered of them.

Public are `Event` and `Soundscape` (plan), `to_jams` and `read_jams`, and `open_renderer` (mixer).
"""
