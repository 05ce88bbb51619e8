"""Many items made in several processes, each with files that vouch for it, in one folder.

Public are `produce`, `finish` and `finished` (items), `CorpusOptions` (output_folder), and
`read_made_set`.
"""
