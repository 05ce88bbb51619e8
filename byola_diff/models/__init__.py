"""Networks, the base of frozen encoders, their files on disk, and the pair that is trained.

Public: `cnn`, `pair`, `frozen.FrozenEncoder`, `encoder.AudioEncoder`, `bundle`, `weights`,
`pooling` and `precision`.
"""
