"""Pairs of clips with a known difference, as in APwD: planned anew, or as published.

Public are `MakeApwdOptions` and `plan_pair` (plan), `produce_items` and `write_corpus` (corpus).
"""
