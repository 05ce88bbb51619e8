"""Reports on score records: a page, Markdown, CSV, and the papers' tables with ours beside."""

from byola_diff.reports.extras import ReportExtra, read_extras, write_extra
from byola_diff.reports.paper_tables import paper_table, print_paper_table
from byola_diff.reports.report import Audio, Heading, Part, Picture, Section, Table, Text
from byola_diff.reports.results_csv import to_csv
from byola_diff.reports.results_page import to_markdown, write_report

__all__ = [
    "Audio",
    "Heading",
    "Part",
    "Picture",
    "ReportExtra",
    "Section",
    "Table",
    "Text",
    "paper_table",
    "print_paper_table",
    "read_extras",
    "to_csv",
    "to_markdown",
    "write_extra",
    "write_report",
]
