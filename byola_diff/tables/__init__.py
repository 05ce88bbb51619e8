"""Tables of clips and of pairs of clips, and the audio that their rows name.

Public: `manifest` and `pairs`, each with what reads and writes its table; `reading.read_clip` with
`preprocessing`; `rows` and `validation` for other tables and files.
"""
