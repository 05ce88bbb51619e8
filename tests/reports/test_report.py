import html.parser
import re

import pytest

from byola_diff.reports.report import (
    Audio,
    Heading,
    Picture,
    Section,
    Table,
    Text,
    best_cells,
    render_html,
    render_markdown,
    text_table,
)

_PNG = b"\x89PNG\r\n\x1a\n"


class _Balance(html.parser.HTMLParser):
    """Fails on tags that do not nest."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _check_page(page):
    parser = _Balance()
    parser.feed(page)
    assert parser.open == []
    # Nothing is fetched: every source is inside the file.
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', page))
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)


def test_page_holds_everything_and_escapes_text():
    table = Table(("encoder", "score"), [["a<b", "1"], ["c", "2"]], frozenset({(1, 1)}), "a note")
    sections = [Section("Scores & more", [table, Text("1 < 2"), Picture(_PNG, 'a "picture"')])]
    page = render_html("Title", "lead", sections, "foot")
    _check_page(page)
    for text in ("a&lt;b", "Scores &amp; more", "1 &lt; 2", "a note", "foot"):
        assert text in page
    assert '<td class="best">2</td>' in page
    assert "<td>1</td>" in page
    assert "data:image/png;base64,iVBORw0KGgo=" in page


def cards_of(page):
    """The grids of a page, each the list of its cards."""
    grids = re.findall(r'<div class="sounds">\n(.*?)\n</div>', page, re.DOTALL)
    return [re.findall(r"<figure>.*?</figure>", grid) for grid in grids]


def test_sounds_in_a_row_are_cards_of_one_grid():
    one, two, three = (Audio(b"RIFF", name, _PNG) for name in ("one", "two", "three"))
    sections = [
        Section("S", [Text("words"), one, two, Heading("next"), three]),
        Section("T", [Picture(_PNG, "a picture"), one]),
    ]
    page = render_html("", "", sections)
    _check_page(page)
    grids = cards_of(page)
    assert [len(cards) for cards in grids] == [2, 1, 1]
    assert page.count("<figure>") == 5
    card = grids[0][1]
    order = ["<img", "<audio", "<figcaption>two</figcaption>"]
    assert [card.index(word) for word in order] == sorted(card.index(word) for word in order)
    assert 'alt="Spectrogram: two"' in card
    assert 'aria-label="two"' in card
    assert "data:image/png;base64,iVBORw0KGgo=" in card


def test_a_sound_without_a_spectrogram_is_a_card_too():
    page = render_html("", "", [Section("S", [Audio(b"RIFF", "one")])])
    _check_page(page)
    [[card]] = cards_of(page)
    assert "<img" not in card
    assert "data:audio/wav;base64,UklGRg==" in card


def test_a_line_break_sets_off_the_first_line_of_a_card():
    caption = 'Place 1, <1>\nwith "rain"\na_long_name.wav'
    [[card]] = cards_of(render_html("", "", [Section("S", [Audio(b"", caption, _PNG)])]))
    text = "<b>Place 1, &lt;1&gt;</b><br>with &#34;rain&#34;<br>a_long_name.wav"
    assert f"<figcaption>{text}</figcaption>" in card
    name = "Place 1, &lt;1&gt;, with &#34;rain&#34;, a_long_name.wav"
    assert f'aria-label="{name}"' in card
    assert f'alt="Spectrogram: {name}"' in card


def test_a_grid_has_as_many_columns_as_fit():
    page = render_html("", "", [])
    [rule] = re.findall(r"\.sounds \{(.*?)\}", page, re.DOTALL)
    assert "--least: 16rem" in rule
    assert "repeat(auto-fill, minmax(min(var(--least), 100%), 1fr))" in rule


def test_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="row 0 has 1 cells under 2 headers"):
        render_html("", "", [Section("", [Table(("a", "b"), [["1"]])])])


def test_best_cells_with_a_tie():
    assert best_cells([[0.1, 0.9, 0.9], [3.0, 2.0, 1.0]]) == {(1, 1), (2, 1), (0, 2)}


def test_markdown_of_a_small_table():
    table = Table(("name", "score"), [["a", "1"], ["bc", "2.5"]], frozenset({(1, 1)}), "note")
    sections = [Section("S", [table, Text("*words*")]), Section("P", [Picture(_PNG, "picture")])]
    expected = [
        *("# T", "", "lead", "", "## S", ""),
        "| name |   score |",
        "| ---- | ------: |",
        "| a    |       1 |",
        "| bc   | **2.5** |",
        *("", "note", "", r"\*words\*"),
    ]
    assert render_markdown("T", "lead", sections).splitlines() == expected


def test_text_table_lines_up_with_its_note_below():
    table = Table(("name", "score", "why"), [["a", "1", "x\ny"], ["bc", "2.5", ""]])
    lines = text_table(table).splitlines()
    assert lines == ["name  score  why", "----  -----  ---", "a         1  x y", "bc      2.5"]
    words = Table(("a", "b"), [["1", "two"]], note="a note", title="T", text_columns=frozenset({1}))
    assert text_table(words).splitlines() == ["T", "a  b", "-  ---", "1  two", "a note"]
