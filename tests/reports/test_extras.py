import json

import numpy as np
import pytest

from byola_diff.reports.extras import ReportExtra, read_extras, write_extra
from byola_diff.reports.players import player
from byola_diff.reports.report import Audio, Heading, Picture, Table, Text
from byola_diff.reports.results_page import to_markdown, write_report
from byola_diff.scores import Records, read_records
from tests.reports.result_records import record

PNG = b"\x89PNG\r\n\x1a\n"
EVIL = '<script>alert(1)</script>" onload="x'
AUDIO = player(np.array([0.0, 0.5]), 8000, "a dog")
CARD = player(np.array([0.0, 0.5]), 8000, "a cat\ncat.wav", PNG)
WHOLE = ReportExtra(
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
        CARD,
    ),
)


def altered(folder, change):
    """A file of an extra that `change` was done to."""
    path = write_extra(folder, "altered", WHOLE)
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))
    return path


def test_what_is_written_is_read(tmp_path):
    path = write_extra(tmp_path / "new", "the name: a/b", WHOLE)
    assert path == tmp_path / "new/the_name_a_b.exhibit.json"
    assert read_extras([tmp_path]) == ([WHOLE], [])
    assert read_extras(path) == ([WHOLE], [])
    assert read_extras([path, tmp_path]) == ([WHOLE], []), "shown once"


def test_an_extra_written_before_sounds_had_pictures_is_read(tmp_path):
    """Its sounds are cards all the same, below the one picture of them all."""
    old = {
        "format": 1,
        "section": "Sounds",
        "title": "Old",
        "parts": [
            {"kind": "picture", "caption": "all of them", "png": "iVBORw0KGgo="},
            {"kind": "audio", "caption": "a dog", "wav": "UklGRiwAAABXQVZF"},
            {"kind": "audio", "caption": "a cat", "wav": "UklGRiwAAABXQVZF"},
        ],
    }
    path = tmp_path / "old.exhibit.json"
    path.write_text(json.dumps(old))
    [extra], problems = read_extras(path)
    assert problems == []
    sounds = [Audio(b"RIFF,\0\0\0WAVE", name) for name in ("a dog", "a cat")]
    assert extra == ReportExtra("Sounds", "Old", (Picture(PNG, "all of them"), *sounds), format=1)
    write_report(Records((record(),), (), ()), tmp_path / "report.html", [extra])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (page.count("<img"), page.count("<audio"), page.count('class="sounds"')) == (1, 2, 1)


def test_only_what_has_a_picture_is_stored_with_one(tmp_path):
    raw = json.loads(write_extra(tmp_path, "one", WHOLE).read_text())
    assert ["spectrogram" in part for part in raw["parts"]] == [*[False] * 5, True]
    assert raw["parts"][5]["spectrogram"] == "iVBORw0KGgo="


def test_an_extra_is_replaced_and_no_name_leaves_the_folder(tmp_path):
    write_extra(tmp_path, "../up", WHOLE)
    other = ReportExtra("Sounds", "Later", ())
    write_extra(tmp_path, "../up", other)
    assert [path.name for path in tmp_path.iterdir()] == ["up.exhibit.json"]
    assert read_extras([tmp_path]) == ([other], [])
    with pytest.raises(ValueError, match="is no name of a file"):
        write_extra(tmp_path, "..", WHOLE)


def test_other_files_are_passed_over(tmp_path):
    (tmp_path / "record.json").write_text("{}")
    assert read_extras([tmp_path, tmp_path / "record.json"]) == ([], [])
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_extras([tmp_path / "absent"])


def test_extras_are_no_foreign_records(tmp_path):
    write_extra(tmp_path / "extras", "one", WHOLE)
    assert read_records([tmp_path]) == Records((), (), ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.update(format=3), "'format': must be 1 or 2, not 3"),
        (lambda raw: raw.pop("title"), "'title': is missing"),
        (lambda raw: raw.update(parts="text"), "'parts': must be a valid"),
        (lambda raw: raw["parts"][0].update(kind="html"), "'parts', item 1: Input tag 'html'"),
        (
            lambda raw: raw["parts"][0].update(text=3),
            "'parts', item 1, 'text', 'text': must be a val",
        ),
        (
            lambda raw: raw["parts"][2].update(png="&&&&"),
            "'parts', item 3, 'picture', 'png': it is not base64",
        ),
        (lambda raw: raw["parts"][2].update(png='iVBO" onload="x'), "png': it is not base64"),
        (
            lambda raw: raw["parts"][2].update(png="PHN2Zz4="),
            "'parts', item 3, 'picture', 'png': it is no PNG",
        ),
        (lambda raw: raw["parts"][5].update(spectrogram="PHN2Zz4="), "spectrogram': it is no PNG"),
        (lambda raw: raw["parts"][5].update(spectrogram="&"), "spectrogram': it is not base64"),
        (lambda raw: raw["parts"][5].update(spectrogram=3), "'spectrogram': must be"),
        (lambda raw: raw["parts"][3].update(wav="PHN2Zz4="), "'audio', 'wav': it is no wav file"),
        (lambda raw: raw["parts"][4].update(rows=[["x"]]), "row 0 has 1 cells under 2 headers"),
        (
            lambda raw: raw["parts"][4].update(rows=[["x", 1]]),
            "'rows', item 1, item 2: must be a valid string, not 1",
        ),
    ],
)
def test_a_broken_extra_is_reported_and_the_others_shown(tmp_path, change, message):
    broken = altered(tmp_path, change)
    write_extra(tmp_path, "whole", WHOLE)
    extras, [problem] = read_extras([tmp_path])
    assert extras == [WHOLE]
    assert str(broken) in problem
    assert message in problem


@pytest.mark.parametrize("text", ["", "[", "[1]", "[" * 100_000, "\xff"])
def test_a_file_of_something_else_is_reported(tmp_path, text):
    (tmp_path / "x.exhibit.json").write_bytes(text.encode("latin-1"))
    extras, problems = read_extras([tmp_path])
    assert extras == []
    assert len(problems) == 1


def test_a_report_escapes_whatever_an_extra_says(tmp_path):
    evil = player(np.array([0.0, 0.5]), 8000, EVIL, PNG)
    table = Table([EVIL, "b"], [[EVIL, "1"]], note=EVIL, title=EVIL)
    extra = ReportExtra(EVIL, EVIL, (Text(EVIL), Heading(EVIL), Picture(PNG, EVIL), evil, table))
    write_extra(tmp_path, "evil", extra)
    extras, _ = read_extras([tmp_path])
    page = tmp_path / "report.html"
    write_report(Records((record(),), (), ()), page, extras)
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert '" onload="' not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;&#34; onload=&#34;x") == 13


def test_a_report_shows_extras_by_section(tmp_path):
    more = ReportExtra("Sounds", "Others", (Text("more words"),))
    apart = ReportExtra("Pictures", "One", (Picture(PNG, "a picture"),))
    records = Records((record(),), (), ())
    write_report(records, tmp_path / "report.html", [WHOLE, apart, more])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [page.count(f"<h2>{name}</h2>") for name in ("Sounds", "Pictures")] == [1, 1]
    places = [page.index(f"<h3>{name}</h3>") for name in ("Two of them", "first", "Others", "One")]
    assert places == sorted(places)
    assert page.count("<audio controls") == 2
    assert 'aria-label="a dog" src="data:audio/wav;base64,UklGR' in page
    assert "<figcaption>a dog</figcaption>" in page

    text = to_markdown(records, [WHOLE, apart, more])
    assert "## Sounds\n\n### Two of them\n\nwords\n\n### first\n\n" in text
    assert "To hear in the HTML report: a dog\n\n" in text
    assert "To hear in the HTML report: a cat, cat.wav\n\n" in text
    assert "Pictures" not in text
