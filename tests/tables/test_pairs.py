import dataclasses
import os

import pytest

from byola_diff.tables.pairs import COLUMNS, Pair, PairError, read_pairs, write_pairs

HEADER = "pair,scene,split,first,second,first_labels,second_labels,text"


def row(
    pair="p0",
    scene="rain",
    split="train",
    first="wav/a.wav",
    second="wav/b.wav",
    first_labels="dog;birds",
    second_labels="birds",
    text="remove the dog",
):
    return ",".join([pair, scene, split, first, second, first_labels, second_labels, text])


@pytest.fixture
def write(tmp_path):
    """Function that writes a table beside six (empty) sounds."""
    (tmp_path / "wav").mkdir()
    for name in "abcdef":
        (tmp_path / "wav" / f"{name}.wav").touch()

    def write(*lines):
        (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / "pairs.csv"

    return write


def test_all_columns_and_others(write, tmp_path):
    second = row(
        "p1", "traffic", "test", "wav/c.wav", "wav/d.wav", "", "horn", '"add a horn, ""now"""'
    )
    table = read_pairs(write(f"{HEADER},level_db", f"{row()},-3", f"{second},2"))
    assert table.pairs == (
        Pair(
            *("p0", "rain", "train", "wav/a.wav", "wav/b.wav"),
            *(("dog", "birds"), ("birds",), "remove the dog"),
        ),
        Pair(
            *("p1", "traffic", "test", "wav/c.wav", "wav/d.wav"),
            *((), ("horn",), 'add a horn, "now"'),
        ),
    )
    assert table.root == tmp_path
    assert table.classes == ("birds", "dog", "horn")
    assert table.scenes == ("rain", "traffic")
    assert table.in_split("test") == table.pairs[1:]
    rain = table.of_scene("rain")
    assert (rain.pairs, rain.classes) == (table.pairs[:1], ("birds", "dog"))


def test_order_of_columns_and_mark_of_excel_do_not_matter(write):
    names = HEADER.split(",")
    cells = dict(zip(names, row().split(","), strict=True))
    backwards = ",".join(reversed(names)), ",".join(cells[name] for name in reversed(names))
    assert (
        read_pairs(write("\ufeff" + backwards[0], backwards[1], "")).pairs
        == read_pairs(write(HEADER, row())).pairs
    )


def test_other_root(write, tmp_path):
    path = write(HEADER, row(first="a.wav", second="b.wav"))
    assert read_pairs(path, root=tmp_path / "wav").root == tmp_path / "wav"


def test_written_is_read_again(write, tmp_path):
    write(HEADER)
    pairs = [
        Pair("p0", "rain", "train", "wav/a.wav", "wav/b.wav", (), ("dög", "x"), 'says "no",\nnow'),
        Pair("p1", "rain", "valid", "wav/c.wav", "wav/d.wav", ("x",), (), "remove x"),
    ]
    write_pairs(tmp_path / "pairs.csv", pairs, {"delta_db": ["1.5", ""]})
    assert list(read_pairs(tmp_path / "pairs.csv").pairs) == pairs
    header = (tmp_path / "pairs.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == ",".join([*COLUMNS, "delta_db"]) == f"{HEADER},delta_db"


def test_two_pairs_may_share_a_first_clip(write):
    table = read_pairs(write(HEADER, row(), row("p1", second="wav/c.wav")))
    assert len(table.pairs) == 2


OTHER = {"first": "wav/c.wav", "second": "wav/d.wav"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["pair,scene,split,first,second,text", "x"], "row 1: has no column first_labels, second"),
        ([f"{HEADER},text", row()], "row 1: a column name occurs twice"),
        ([HEADER], "has no rows below the header"),
        ([""], "row 1: has no column pair"),
        ([HEADER, f"{row()},x"], "row 2: 9 cells under 8 columns"),
        ([HEADER, row(pair=" ")], "row 2, column 'pair': String should have at least 1 char"),
        ([HEADER, row(scene="")], "row 2, column 'scene': String should have at least 1"),
        ([HEADER, row(text="")], "row 2, column 'text': String should have at least 1"),
        ([HEADER, row(split="dev")], "row 2, column 'split': unknown split 'dev'"),
        (
            [HEADER, row(first_labels="dog;")],
            "row 2, column 'first_labels': empty label in 'dog;'",
        ),
        ([HEADER, row(second_labels="a;a")], "row 2, column 'second_labels': a label occurs twice"),
        (
            [HEADER, row(first_labels="", second_labels="")],
            "row 2, column 'first_labels': empty, and so is 'second_labels'",
        ),
        ([HEADER, row(second="./wav/a.wav")], "row 2, column 'second': .* is the first clip too"),
        ([HEADER, row(second="wav/z.wav")], "row 2, column 'second': no such file"),
        ([HEADER, row(first="wav")], "row 2, column 'first': no such file"),
        ([HEADER, row(first="")], "row 2, column 'first': empty"),
        ([HEADER, row(first="/etc/hosts")], "row 2, column 'first': '/etc/hosts' is absolute"),
        ([HEADER, row(second="wav/../pairs.csv")], "row 2, column 'second': .* has '..'"),
        ([HEADER, row(), row(**OTHER)], "row 3, column 'pair': 'p0' is in row 2 too"),
        (
            [HEADER, row(), row("p1", first="wav/c.wav", second="./wav/b.wav")],
            "row 3, column 'second': './wav/b.wav' is the second clip of row 2 too",
        ),
        ([f"{HEADER},first_start_s", f"{row()},1"], "row 1: column 'first_start_s': clips"),
        ([HEADER, row(pair="p\u200b0")], r"row 2, column 'pair': invisible character U\+200B"),
        (
            [HEADER, row(), row("p1", split="test", second="wav/c.wav")],
            "row 3, column 'first': 'wav/a.wav' is in split test here and in train in row 2",
        ),
        (
            [HEADER, row(), row("p1", split="test", first="wav/c.wav", second="wav/a.wav")],
            "row 3, column 'second': 'wav/a.wav' is in split test here and in train in row 2",
        ),
    ],
)
def test_each_fault_is_named_with_row_and_column(write, lines, message):
    with pytest.raises(PairError, match=message) as caught:
        read_pairs(write(*lines))
    assert str(caught.value).startswith(str(write(*lines)))


@pytest.mark.skipif(os.name != "posix", reason="links need no rights there")
def test_no_clip_outside_the_root(write, tmp_path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.wav"
    outside.touch()
    (tmp_path / "wav" / "link.wav").symlink_to(outside)
    with pytest.raises(PairError, match=r"row 2, column 'first': .* leaves"):
        read_pairs(write(HEADER, row(first="wav/link.wav")))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b'pair,"scene'])
def test_unreadable_table(content, tmp_path):
    if content is not None:
        (tmp_path / "pairs.csv").write_bytes(content)
    with pytest.raises(PairError, match="unreadable pair table"):
        read_pairs(tmp_path / "pairs.csv")


def test_clips_are_known_by_their_files(write, tmp_path):
    (tmp_path / "wav" / "link.wav").symlink_to("a.wav")
    with pytest.raises(PairError, match=r"row 2, column 'second': .* is the first clip too"):
        read_pairs(write(HEADER, row(second="wav/link.wav")))
    other = row("p1", split="test", first="wav/link.wav", second="wav/c.wav")
    with pytest.raises(
        PairError, match=r"row 3, column 'first': .* is in split test here and in tr"
    ):
        read_pairs(write(HEADER, row(), other))


GOOD = Pair("p0", "rain", "train", "a.wav", "b.wav", ("x",), (), "remove x")


@pytest.mark.parametrize(
    ("pairs", "extra", "message"),
    [
        ([], {}, "a table has pairs"),
        ([GOOD], {"level": []}, "shorter"),
        ([dataclasses.replace(GOOD, first_labels=("a;b",))], {}, "row 2, column 'first_labels'"),
        ([dataclasses.replace(GOOD, first_labels=())], {}, "row 2, column 'first_labels': empty"),
        ([dataclasses.replace(GOOD, split="dev")], {}, "row 2, column 'split'"),
        ([GOOD, GOOD], {}, "row 3, column 'pair'"),
    ],
)
def test_what_could_not_be_read_is_not_written(pairs, extra, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_pairs(tmp_path / "pairs.csv", pairs, extra)
    assert not list(tmp_path.iterdir())
