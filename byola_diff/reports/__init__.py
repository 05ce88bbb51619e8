"""Reports on score records: a page, Markdown, CSV, and the papers' tables with ours beside.

Public: `results_page`, `paper_tables.paper_table` and `print_paper_table`, `extras`, and the parts
of `report` that extras are made of.
"""
