"""The packed store: many clips as 16-bit samples in a few large files, read at random.

Public: `packed.PackedStore` to read, `packing` to write.
"""
