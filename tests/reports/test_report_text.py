from byola_diff.reports.report import Picture, Section, Table, Text
from byola_diff.reports.report_text import render_markdown, text_table

PNG = b"\x89PNG\r\n\x1a\n"


def test_markdown_of_a_small_table():
    table = Table(("name", "score"), [["a", "1"], ["bc", "2.5"]], frozenset({(1, 1)}), "note")
    sections = [Section("S", [table, Text("*words*")]), Section("P", [Picture(PNG, "picture")])]
    expected = [
        *("# T", "", "lead", "", "## S", ""),
        "| name |   score |",
        "| ---- | ------: |",
        "| a    |       1 |",
        "| bc   | **2.5** |",
        *("", "note", "", r"\*words\*", "", "foot"),
    ]
    assert render_markdown("T", "lead", sections, "foot").splitlines() == expected


def test_text_table_lines_up_with_its_note_below():
    table = Table(("name", "score", "why"), [["a", "1", "x\ny"], ["bc", "2.5", ""]])
    lines = text_table(table).splitlines()
    assert lines == ["name  score  why", "----  -----  ---", "a         1  x y", "bc      2.5"]
    words = Table(("a", "b"), [["1", "two"]], note="a note", title="T", text_columns=frozenset({1}))
    assert text_table(words).splitlines() == ["T", "a  b", "-  ---", "1  two", "a note"]
