"""The demo: what the encoders that come with the package do, and a pretraining to watch.

Public: `run.main`, which `python -m byola_diff.demo` calls.
"""
