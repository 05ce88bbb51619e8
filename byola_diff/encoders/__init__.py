"""Frozen encoders of sound: opened by a spec, combined, and distinguished by a content hash.

Public: `open` with `open_encoder` and `check_spec`, `contract.Encoder`, `registry.KINDS`,
`ensemble`, `fusion`, and `content_hash`.
"""
