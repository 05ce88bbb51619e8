"""Many items made in several processes, each with files that vouch for it, in one folder.

Public are `produce` with its results, `finish` and `finished` (items), and `OutputFolder`.
"""
