import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from byola_diff.audio.files import AudioFileError, write_wav
from byola_diff.evaluation.additivity.made_quadruples import (
    SIDES,
    ToneQuadruples,
    open_quadruples,
)
from byola_diff.soundscapes.tone_scenes import drawn_objects

RATE = 8000
LENGTH = 400


def sound(number, n_samples=LENGTH):
    """A level that tells one file from another."""
    return np.full(n_samples, number / 100, dtype=np.float32)


def cell(number, n_samples=LENGTH, rate=RATE):
    """An audio file as it lies in a parquet file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, sound(number, n_samples), rate, format="FLAC")
    return {"bytes": buffer.getvalue(), "path": f"{number}.flac"}


def row(first, **changed):
    """A quadruple whose files are numbered from `first` on."""
    added = [{"timbre_label": name, "pitch_label": "low"} for name in ("brass", "bell")]
    cells = {side: cell(first + place) for place, side in enumerate(SIDES)}
    return {**cells, "metadata": {"A": [], "C": [], "T": added}, **changed}


def write_shard(folder, rows, name="test-00000-of-00001"):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    (folder / "data").mkdir(exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / f"data/{name}.parquet")


def write_table(folder, lines, header="A,B,C,D,label"):
    (folder / "quadruples.csv").write_text("\n".join([header, *lines]) + "\n")


def write_files(folder, n_files=8, **lengths):
    for number in range(n_files):
        n_samples = lengths.get(f"of_{number}", LENGTH)
        write_wav(folder / f"{number}.wav", sound(number, n_samples), RATE)


def levels(quadruple):
    return [round(100 * float(side.mean())) for side in quadruple.waveforms]


def test_shards_are_read_in_the_order_of_their_names(tmp_path):
    write_shard(tmp_path, [row(20)], "test-00001-of-00002")
    write_shard(tmp_path, [row(0), row(10)], "test-00000-of-00002")
    source = open_quadruples(tmp_path)
    assert len(source) == 3
    assert source.name == tmp_path.name
    found = list(source.read(3))
    assert [levels(one) for one in found] == [[n, n + 1, n + 2, n + 3] for n in (0, 10, 20)]
    assert {one.sample_rate for one in found} == {RATE}
    assert {one.label for one in found} == {"bell + brass"}
    assert [levels(one)[0] for one in source.read(2)] == [0, 10]
    sizes = source.settings()["shards"]
    assert list(sizes) == ["test-00000-of-00002.parquet", "test-00001-of-00002.parquet"]


def test_more_rows_than_are_read_at_once(tmp_path):
    write_shard(tmp_path, [row(number) for number in range(20)])
    assert [levels(one)[0] for one in open_quadruples(tmp_path).read(20)] == list(range(20))


def test_a_table_of_files(tmp_path):
    write_files(tmp_path)
    write_table(tmp_path, ["4.wav,5.wav,6.wav,7.wav,bell", "0.wav,1.wav,2.wav,3.wav,"])
    source = open_quadruples(tmp_path)
    first, second = source.read(2)
    assert (levels(first), first.label) == ([4, 5, 6, 7], "bell")
    assert (levels(second), second.label) == ([0, 1, 2, 3], "")
    assert [levels(one)[0] for one in source.read(1)] == [4]


def test_labels_may_be_left_out(tmp_path):
    write_files(tmp_path)
    write_table(tmp_path, ["0.wav,1.wav,2.wav,3.wav"], "A,B,C,D")
    assert [one.label for one in open_quadruples(tmp_path).read(1)] == [""]
    without = {key: value for key, value in row(0).items() if key != "metadata"}
    (tmp_path / "other").mkdir()
    write_shard(tmp_path / "other", [without])
    assert [one.label for one in open_quadruples(tmp_path / "other").read(1)] == [""]


def test_a_missing_column(tmp_path):
    lacking = row(0)
    del lacking["C"]
    write_shard(tmp_path, [lacking])
    with pytest.raises(ValueError, match=r"test-00000-of-00001.parquet has no column C, but"):
        open_quadruples(tmp_path)
    write_table(tmp_path, ["0.wav,1.wav,2.wav"], "A,B,D")
    with pytest.raises(ValueError, match=r"quadruples.csv: row 1: has no column C"):
        open_quadruples(tmp_path)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"B": {"bytes": b"no audio at all", "path": ""}}, "row 2, column B: unreadable"),
        ({"D": {"bytes": cell(1)["bytes"][:60], "path": ""}}, "row 2, column D"),
        ({"A": {"bytes": None, "path": "a.wav"}}, "row 2, column A: no bytes of an audio file"),
    ],
)
def test_broken_bytes(tmp_path, changed, reason):
    write_shard(tmp_path, [row(0), row(10, **changed)])
    read = open_quadruples(tmp_path).read(2)
    assert levels(next(read)) == [0, 1, 2, 3]
    with pytest.raises(AudioFileError, match=reason):
        next(read)


def test_sides_of_unequal_lengths_or_rates(tmp_path):
    write_shard(tmp_path, [row(0, D=cell(3, LENGTH + 1))])
    with pytest.raises(ValueError, match=r"row 1: lengths in samples differ: .*'D': 401"):
        list(open_quadruples(tmp_path).read(1))
    write_shard(tmp_path, [row(0, B=cell(1, rate=16_000))])
    with pytest.raises(ValueError, match=r"row 1: sample rates differ: .*'B': 16000"):
        list(open_quadruples(tmp_path).read(1))
    write_files(tmp_path, of_2=LENGTH - 1)
    write_table(tmp_path, ["0.wav,1.wav,2.wav,3.wav,"])
    with pytest.raises(ValueError, match=r"quadruples.csv: row 2: lengths in samples differ"):
        list(open_quadruples(tmp_path).read(1))


def test_a_table_does_not_leave_its_folder(tmp_path):
    write_files(tmp_path)
    inside = tmp_path / "inside"
    inside.mkdir()
    for word in ("../0.wav", str(tmp_path / "0.wav")):
        write_table(inside, [f"{word},1.wav,2.wav,3.wav,"])
        with pytest.raises(ValueError, match="row 2, column 'A': leaves the folder"):
            open_quadruples(inside)


def test_a_folder_of_neither_form(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither quadruples\.csv nor data/test-"):
        open_quadruples(tmp_path)
    pytest.importorskip("pyarrow")
    Path(tmp_path / "some.parquet").write_bytes(b"text")
    with pytest.raises(ValueError, match="is no parquet file"):
        open_quadruples(tmp_path)


def test_the_same_is_added_to_both_scenes():
    for one in ToneQuadruples(4, 1.0).read(4):
        scene, with_event, other, with_same = (side.astype(float) for side in one.waveforms)
        np.testing.assert_allclose(with_event - scene, with_same - other, atol=1e-6)
        assert np.abs(with_event - scene).max() > 0.01
        assert np.abs(scene - other).max() > 0.01
        assert max(np.abs(side).max() for side in one.waveforms) <= 1


def test_a_quadruple_depends_on_the_seed_and_its_number_alone():
    few, many, others = (ToneQuadruples(n, 0.2, seed) for n, seed in ((2, 0), (5, 0), (5, 1)))
    assert len(list(many.read(9))) == 5
    for first, second, other in zip(few.read(2), many.read(2), others.read(2), strict=True):
        for mine, same, not_mine in zip(
            *(one.waveforms for one in (first, second, other)), strict=True
        ):
            np.testing.assert_array_equal(mine, same)
            assert not np.array_equal(mine, not_mine)


def test_label_is_of_what_is_added():
    [one] = ToneQuadruples(1, 0.1).read(1)
    assert one.label == " + ".join(sorted(each.timbre for each in drawn_objects(0, 0)[2]))


def test_records_tell_folders_of_one_name_apart(tmp_path):
    settings = []
    for number in (1, 2, 1):
        folder = tmp_path / str(len(settings)) / "quads"
        for side in SIDES:
            write_wav(folder / f"{side}.wav", sound(number), RATE)
        (folder / "quadruples.csv").write_text("A,B,C,D\nA.wav,B.wav,C.wav,D.wav\n")
        settings.append(open_quadruples(folder).settings())
    assert settings[0] == settings[2] != settings[1]
