import json

import numpy as np
import pytest
from result_records import record

from byola_diff.evaluation.results.exhibits import Exhibit, read_exhibits, write_exhibit
from byola_diff.evaluation.results.players import player
from byola_diff.evaluation.results.records import Records, read_records
from byola_diff.evaluation.results.report import Heading, Picture, Table, Text
from byola_diff.evaluation.results.results_page import to_markdown, write_report

PNG = b"\x89PNG\r\n\x1a\n"
EVIL = '<script>alert(1)</script>" onload="x'
AUDIO = player(np.array([0.0, 0.5]), 8000, "a dog")
WHOLE = Exhibit(
    "Sounds",
    "Two of them",
    (
        Text("words"),
        Heading("first"),
        Picture(PNG, "a picture"),
        AUDIO,
        Table(
            ["item", "SNR"],
            [["x", "1.5"]],
            frozenset({(0, 1)}),
            "a note",
            "a title",
            frozenset({0}),
            frozenset({1}),
        ),
    ),
)


def altered(folder, change):
    """An exhibit file that `change` was done to."""
    path = write_exhibit(folder, "altered", WHOLE)
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))
    return path


def test_what_is_written_is_read(tmp_path):
    path = write_exhibit(tmp_path / "new", "the name: a/b", WHOLE)
    assert path == tmp_path / "new/the_name_a_b.exhibit.json"
    assert read_exhibits([tmp_path]) == ([WHOLE], [])
    assert read_exhibits(path) == ([WHOLE], [])
    assert read_exhibits([path, tmp_path]) == ([WHOLE], []), "shown once"


def test_an_exhibit_is_replaced_and_no_name_leaves_the_folder(tmp_path):
    write_exhibit(tmp_path, "../up", WHOLE)
    other = Exhibit("Sounds", "Later", ())
    write_exhibit(tmp_path, "../up", other)
    assert [path.name for path in tmp_path.iterdir()] == ["up.exhibit.json"]
    assert read_exhibits([tmp_path]) == ([other], [])
    with pytest.raises(ValueError, match="is no name for an exhibit"):
        write_exhibit(tmp_path, "..", WHOLE)


def test_other_files_are_passed_over(tmp_path):
    (tmp_path / "record.json").write_text("{}")
    assert read_exhibits([tmp_path, tmp_path / "record.json"]) == ([], [])
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_exhibits([tmp_path / "absent"])


def test_exhibits_are_no_foreign_records(tmp_path):
    write_exhibit(tmp_path / "exhibits", "one", WHOLE)
    assert read_records([tmp_path]) == Records((), (), ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.update(format=2), "format 2 is not 1"),
        (lambda raw: raw.pop("title"), "it lacks 'title'"),
        (lambda raw: raw.update(parts="text"), "not an exhibit"),
        (lambda raw: raw["parts"][0].update(kind="html"), "unknown kind of part 'html'"),
        (lambda raw: raw["parts"][0].update(text=3), "'text' is int, not text"),
        (lambda raw: raw["parts"][2].update(png="&&&&"), "'png' is not base64"),
        (lambda raw: raw["parts"][2].update(png='iVBO" onload="x'), "'png' is not base64"),
        (lambda raw: raw["parts"][2].update(png="PHN2Zz4="), "a picture is no PNG"),
        (lambda raw: raw["parts"][3].update(wav="PHN2Zz4="), "a sound is no wav file"),
        (lambda raw: raw["parts"][4].update(rows=[["x"]]), "has not 2 cells"),
        (lambda raw: raw["parts"][4].update(rows=[["x", 1]]), "cells of a table are not texts"),
    ],
)
def test_a_broken_exhibit_is_told_and_the_others_shown(tmp_path, change, message):
    broken = altered(tmp_path, change)
    write_exhibit(tmp_path, "whole", WHOLE)
    exhibits, [problem] = read_exhibits([tmp_path])
    assert exhibits == [WHOLE]
    assert str(broken) in problem
    assert message in problem


@pytest.mark.parametrize("text", ["", "[", "[1]", "[" * 100_000, "\xff"])
def test_a_file_of_something_else_is_told(tmp_path, text):
    (tmp_path / "x.exhibit.json").write_bytes(text.encode("latin-1"))
    exhibits, problems = read_exhibits([tmp_path])
    assert exhibits == []
    assert len(problems) == 1


def test_a_report_escapes_whatever_an_exhibit_says(tmp_path):
    evil = player(np.array([0.0, 0.5]), 8000, EVIL)
    table = Table([EVIL, "b"], [[EVIL, "1"]], note=EVIL, title=EVIL)
    exhibit = Exhibit(EVIL, EVIL, (Text(EVIL), Heading(EVIL), Picture(PNG, EVIL), evil, table))
    write_exhibit(tmp_path, "evil", exhibit)
    exhibits, _ = read_exhibits([tmp_path])
    page = tmp_path / "report.html"
    write_report(Records((record(),), (), ()), page, exhibits)
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert '" onload="' not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&quot;x") == 12


def test_a_report_shows_exhibits_by_section(tmp_path):
    more = Exhibit("Sounds", "Others", (Text("more words"),))
    apart = Exhibit("Pictures", "One", (Picture(PNG, "a picture"),))
    records = Records((record(),), (), ())
    write_report(records, tmp_path / "report.html", [WHOLE, apart, more])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [page.count(f"<h2>{name}</h2>") for name in ("Sounds", "Pictures")] == [1, 1]
    places = [page.index(f"<h3>{name}</h3>") for name in ("Two of them", "first", "Others", "One")]
    assert places == sorted(places)
    assert page.count("<audio controls") == 1
    assert 'aria-label="a dog" src="data:audio/wav;base64,UklGR' in page
    assert "<figcaption>a dog</figcaption>" in page

    text = to_markdown(records, [WHOLE, apart, more])
    assert "## Sounds\n\n### Two of them\n\nwords\n\n### first\n\n" in text
    assert "To hear in the HTML report: a dog" in text
    assert "Pictures" not in text
