"""Pairs of clips with a known difference, as in APwD: planned anew, or as published.

Public are `PairRecipe` and `plan_pair` (plan), and `RenderSettings`, `RequiredSources`,
`produce_items`, `write_clip` and `write_corpus` (corpus).
"""
