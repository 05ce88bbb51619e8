"""Laws of both kinds of table, over drawn rows: what is written is read again, faults are found."""

import dataclasses
import re
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from byola_diff.tables.manifest import Clip, ManifestError, read_manifest, write_manifest
from byola_diff.tables.pairs import COLUMNS, Pair, PairError, read_pairs, write_pairs
from byola_diff.tables.rows import read_rows, visible

# beartype, which checks the types of what is drawn, looks at one item of a tuple by chance.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

FEW = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FILES = [f"{number}.wav" for number in range(12)]
BLANKS = {*"\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0", *map(chr, range(0x180B, 0x1810))}
BLANKS |= {*map(chr, range(0xFE00, 0xFE10))}
SPLIT = st.sampled_from(["train", "valid", "test"])

# What a cell can hold: no surrogates, and no space at the ends, which readers drop; all in NFC.
# What can't be seen, and the few that can't be told from it, no label or name has.
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")
SEEN = st.characters(codec="utf-8", exclude_categories=UNSEEN, include_characters=" ")
CELL = st.text(SEEN, min_size=1, max_size=12).map(lambda text: normalize("NFC", text.strip()))
CELL = CELL.filter(lambda text: text and not any(map(BLANKS.__contains__, text)))
LABEL = CELL.filter(lambda text: ";" not in text)
SECONDS = st.floats(0, 1e6, allow_subnormal=False)


@pytest.fixture
def folder(tmp_path):
    """Folder of twelve (empty) sounds; one and the same for all examples of a test."""
    for name in FILES:
        (tmp_path / name).touch()
    return tmp_path


@st.composite
def clip_lists(draw):
    """Clips of different files, with the cells that some of them have."""
    files = draw(st.lists(st.sampled_from(FILES), min_size=1, max_size=6, unique=True))
    several = draw(st.booleans())
    labels = st.lists(LABEL, min_size=1, max_size=3, unique=True) if several else st.tuples(CELL)
    return [
        Clip(
            file,
            tuple(draw(labels)),
            split=draw(SPLIT),
            fold=number,
            start_s=draw(st.none() | SECONDS),
            duration_s=draw(st.none() | SECONDS.filter(bool)),
            text=draw(st.none() | CELL),
        )
        for number, file in enumerate(files)
    ]


@st.composite
def pair_lists(draw):
    """Pairs that go together: no clip is in two of them."""
    count = draw(st.integers(1, 5))
    labels = st.lists(LABEL, max_size=3, unique=True).map(tuple)
    pairs = []
    for number in range(count):
        one, other = draw(labels), draw(labels)
        assume(one or other)
        files = FILES[2 * number : 2 * number + 2]
        pairs.append(Pair(f"p{number}", draw(CELL), draw(SPLIT), *files, one, other, draw(CELL)))
    return pairs


@FEW
@given(clips=clip_lists())
def test_a_written_manifest_is_read_again(folder, clips):
    assume(len(clips) > 1)  # one fold alone is refused
    write_manifest(folder / "m.csv", clips)
    manifest = read_manifest(folder / "m.csv")
    assert list(manifest.clips) == clips
    assert set(manifest.classes) == {label for clip in clips for label in clip.labels}
    assert sum(len(manifest.in_split(split)) for split in ("train", "valid", "test")) == len(clips)


@FEW
@given(pairs=pair_lists(), level=CELL)
def test_a_written_pair_table_is_read_again(folder, pairs, level):
    write_pairs(folder / "p.csv", pairs, {"level": [level] * len(pairs)})
    assert list(read_pairs(folder / "p.csv").pairs) == pairs


BAD_CELLS = {
    "file": st.sampled_from(["", "no.wav", "/etc/hosts", "C:\\0.wav", "../0.wav", "a/../0.wav"]),
    "labels": st.sampled_from(["", "x;", ";x", "x;x", "x; ;y", "x; x"]),
    "split": CELL.filter(lambda cell: cell not in ("train", "valid", "test")),
    "fold": CELL.filter(lambda cell: not re.fullmatch(r"[+-]?[\d_]+", cell)),
    "start_s": st.sampled_from(["-1", "-0.5", "nan", "inf", "-inf", "1,5", "one", "1 s", "0x1"]),
    "duration_s": st.sampled_from(["0", "-1", "nan", "inf", "one", "-0.0"]),
}


@FEW
@given(
    data=st.data(),
    column=st.sampled_from(sorted(BAD_CELLS)),
    count=st.integers(2, 8),
)
def test_a_bad_cell_of_a_manifest_is_refused_with_row_and_column(folder, data, column, count):
    bad = data.draw(st.integers(0, count - 1))
    rows = [
        {"file": FILES[n], "labels": "x;y", "split": "train", "fold": str(n)} for n in range(count)
    ]
    rows = [row | {"start_s": "0.5", "duration_s": "1"} for row in rows]
    rows[bad][column] = data.draw(BAD_CELLS[column])
    lines = [",".join(f'"{c.replace(chr(34), chr(34) * 2)}"' for c in r.values()) for r in rows]
    text = "\n".join([",".join(rows[0]), *lines])
    (folder / "m.csv").write_text(text, encoding="utf-8", newline="")
    with pytest.raises(ManifestError) as caught:
        read_manifest(folder / "m.csv")
    expected = f"{folder / 'm.csv'}: row {bad + 2}, column {column!r}: "
    assert str(caught.value).startswith(expected)


BAD_PAIRS = {
    "pair": {"name": st.sampled_from(["", " "])},
    "scene": {"scene": st.sampled_from(["", "\t"])},
    "text": {"text": st.just("")},
    "split": {"split": CELL.filter(lambda cell: cell not in ("train", "valid", "test"))},
    "first_labels": {
        "first_labels": st.sampled_from([("",), ("x", "x"), ("x", " "), ("a;b",), ()]),
        "second_labels": st.just(()),
    },
}


@FEW
@given(data=st.data(), column=st.sampled_from(sorted(BAD_PAIRS)), pairs=pair_lists())
def test_a_bad_pair_is_neither_written_nor_read(folder, data, column, pairs):
    bad = data.draw(st.integers(0, len(pairs) - 1))
    changes = {name: data.draw(values) for name, values in BAD_PAIRS[column].items()}
    row = f"row {bad + 2}, column {column!r}: "
    path = folder / "p.csv"
    path.unlink(missing_ok=True)
    broken = dataclasses.replace(pairs[bad], **changes)
    with pytest.raises(ValueError, match=re.escape(row)):
        write_pairs(path, [*pairs[:bad], broken, *pairs[bad + 1 :]])
    assert not path.exists()
    if column == "first_labels":
        return  # `a;b` is two labels to a reader
    plain = {"scene": "x", "text": "x", "first_labels": ("x",), "second_labels": ()}
    write_pairs(path, [dataclasses.replace(pair, **plain) for pair in pairs])
    lines = path.read_text(encoding="utf-8").splitlines()
    (value,) = changes.values()
    cells = lines[bad + 1].split(",")
    cells[COLUMNS.index(column)] = f'"{value.replace(chr(34), chr(34) * 2)}"'
    lines[bad + 1] = ",".join(cells)
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    with pytest.raises(PairError) as caught:
        read_pairs(path)
    assert str(caught.value).startswith(f"{path}: {row}")


TABLE = "file,label\na.wav,dog\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TABLE.replace(",", ";").encode(), "row 1: ';' between the cells: save it as 'CSV UTF-8'"),
        (TABLE.replace(",", "\t").encode(), "row 1: tabs between the cells"),
        (b"sep=;\n" + TABLE.replace(",", ";").encode(), "row 1: 'sep=;' is a line for Excel alone"),
        (b"\xef\xbb\xbfSep=,\n" + TABLE.encode(), "row 1: 'Sep=' is a line for Excel alone"),
        (TABLE.encode("utf-16"), "UTF-16 with a byte order mark, as Excel's 'Unicode text': save"),
        (TABLE.encode("utf-16-be"), "NUL characters, as UTF-16 without a byte order mark"),
        (
            TABLE.replace("dog", "chi\xean").encode("cp1252"),
            "not UTF-8: .*: save it as 'CSV UTF-8'",
        ),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + TABLE.encode(), r"row 1: invisible character U\+FEFF in"),
    ],
)
def test_what_excel_writes_is_told_by_name(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_rows(tmp_path / "t.csv", "table", [("file",), ("label",)])


def test_quotes_and_line_ends_of_excel_are_read(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbffile,label\r\na.wav,"dog; cat"\r\n\r\n')
    [row] = read_rows(tmp_path / "t.csv", "table", [("file",), ("label",)])
    assert row == {"file": "a.wav", "label": "dog; cat"}


@pytest.mark.parametrize("code", [0x200B, 0x00AD, 0x00A0, 0x202E, 0xFE0F, 0x3164, 0x2028, 0x9])
def test_an_invisible_character_is_named(code):
    with pytest.raises(ValueError, match=rf"invisible character U\+{code:04X} in 'do"):
        visible(f"do{chr(code)}g")


def test_equal_letters_are_equal_characters():
    assert visible("cafe\u0301 x") == "caf\u00e9 x"
