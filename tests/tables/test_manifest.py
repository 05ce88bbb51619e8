import pytest

from byola_diff.tables.manifest import Clip, ManifestError, read_manifest, write_manifest


@pytest.fixture
def write(tmp_path):
    """Function that writes a manifest beside four (empty) sounds."""
    (tmp_path / "audio").mkdir()
    for name in "abcd":
        (tmp_path / "audio" / f"{name}.wav").touch()

    def write(*lines):
        (tmp_path / "m.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / "m.csv"

    return write


def test_all_columns(write, tmp_path):
    manifest = read_manifest(
        write(
            "file,labels,split,group,start_s,duration_s,text",
            'audio/a.wav,rain;dog,train,r1,,,"a dog, outside"',
            "audio/b.wav,rain,test,,1.5,0.5,",
        )
    )
    assert manifest.clips == (
        Clip("audio/a.wav", ("rain", "dog"), "train", group="r1", text="a dog, outside"),
        Clip("audio/b.wav", ("rain",), "test", start_s=1.5, duration_s=0.5),
    )
    assert manifest.classes == ("dog", "rain")
    assert manifest.path(manifest.clips[0]) == tmp_path / "audio" / "a.wav"
    assert manifest.in_split("test") == manifest.clips[1:]


def test_evar_is_read_as_it_is(write):
    manifest = read_manifest(
        write("file_name,label,fold", "audio/a.wav,dog;cat,1", "audio/b.wav,rain,2")
    )
    assert [clip.labels for clip in manifest.clips] == [("dog;cat",), ("rain",)]
    assert manifest.folds == (1, 2)


def test_commas_of_evar_are_between_labels(write):
    manifest = read_manifest(
        write("file_name,label,split", 'audio/a.wav,"y, x",train', "audio/b.wav,z,test")
    )
    assert [clip.labels for clip in manifest.clips] == [("y", "x"), ("z",)]
    assert manifest.classes == ("x", "y", "z")


def test_other_root_and_mark_of_excel(write, tmp_path):
    path = write("\ufefffile,label,split", "a.wav,x,train", "")
    assert read_manifest(path, root=tmp_path / "audio").clips[0].file == "a.wav"


def test_written_is_read_again(write, tmp_path):
    write("unused")
    clips = [
        Clip("audio/a.wav", ("rain", "dög"), fold=1, text='says "no", twice\nand more'),
        Clip("audio/b.wav", ("rain",), fold=2, group="g", start_s=0.1, duration_s=1 / 3),
    ]
    write_manifest(tmp_path / "m.csv", clips)
    assert list(read_manifest(tmp_path / "m.csv").clips) == clips
    one = [Clip("audio/a.wav", ("a;b",), split="train")]
    write_manifest(tmp_path / "m.csv", one)
    assert (tmp_path / "m.csv").read_text() == "file,label,split\naudio/a.wav,a;b,train\n"


@pytest.mark.parametrize(
    "clips",
    [
        [],
        [Clip("a.wav", ())],
        [Clip("a.wav", ("",))],
        [Clip("a.wav", ("x", "y;z"))],
        [Clip("a.wav", ("x\u200b",))],
    ],
)
def test_what_could_not_be_read_is_not_written(clips, tmp_path):
    with pytest.raises(ValueError, match="label"):
        write_manifest(tmp_path / "m.csv", clips)
    assert not list(tmp_path.iterdir())


OK = "audio/a.wav,x,train"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,label,split", OK], "row 1: has no column file or file_name"),
        (["file,class,split", OK], "row 1: has no column label or labels"),
        (["file,label,part", OK], "row 1: has no column split or fold"),
        (
            ["file,label,labels,split", "audio/a.wav,x,x,train"],
            "row 1: may have only one column label or labels",
        ),
        (["file,label,split,split", OK], "row 1: a column name occurs twice"),
        (["file,label,split"], "has no rows"),
        (["file,label,split", OK, "audio/b.wav,x"], "row 3: 2 cells under 3 columns"),
        (["file,label,split", OK, "audio/z.wav,x,train"], "row 3, column 'file': no such file"),
        (["file_name,label,split", ",x,train"], "row 2, column 'file_name': empty"),
        (["file,label,split", "audio,x,train"], "row 2, column 'file': no such file"),
        (["file,label,split", "/etc/hosts,x,train"], "row 2, column 'file': '/etc/hosts' is abs"),
        (["file,label,split", "C:\\a.wav,x,train"], "row 2, column 'file': .* is absolute"),
        (["file,label,split", "audio/../m.csv,x,train"], "row 2, column 'file': .* has '..'"),
        (["file,label,split", OK, "audio/b.wav, ,train"], "row 3, column 'label': empty label"),
        (["file,labels,split", "audio/b.wav,x;,train"], "row 2, column 'labels': empty label"),
        (["file,labels,split", "audio/b.wav,x;x,train"], "row 2, column 'labels': a label occurs"),
        (["file,label,split", "audio/a.wav,x,val"], "row 2, column 'split': unknown split 'val'"),
        (["file,label,split", "audio/a.wav,x,"], "row 2, column 'split': unknown split ''"),
        (
            ["file,label,fold", "audio/a.wav,x,one"],
            "row 2, column 'fold': invalid .* 'one'",
        ),
        (["file,label,fold", "audio/a.wav,x,1"], "column 'fold': only fold 1"),
        (["file,label,split", OK, OK], "row 3, column 'file': 'audio/a.wav' is in row 2 too"),
        (["file,label,split", OK, f"./{OK}"], "row 3, column 'file': .* is in row 2 too"),
        (
            ["file,label,split,start_s", OK + ",x"],
            "row 2, column 'start_s': must be a valid number.*, not 'x'",
        ),
        (
            ["file,label,split,start_s", OK + ",-1"],
            "row 2, column 'start_s': must be greater .*, not '-1'",
        ),
        (
            ["file,label,split,start_s", OK + ",nan"],
            "row 2, column 'start_s': must be a finite number, not 'nan'",
        ),
        (
            ["file,label,split,duration_s", OK + ",0"],
            "row 2, column 'duration_s': must be greater than 0, not '0'",
        ),
        (["file,label,split,start_s", OK + ",1", OK + ",1"], "from 1.0 s on is in row 2 too"),
        (
            ["file,label,split,group", OK + ",g", "audio/b.wav,x,test,g"],
            "row 3, column 'group': leaking group 'g', in split test here and in split train in ro",
        ),
        (
            ["file,label,fold,group", "audio/a.wav,x,1,g", "audio/b.wav,x,2,g"],
            "row 3, column 'group': leaking group 'g', in fold 2 here and in fold 1 in row 2",
        ),
    ],
)
def test_refused(write, lines, message):
    with pytest.raises(ManifestError, match=message) as caught:
        read_manifest(write(*lines))
    assert "m.csv: " in str(caught.value)


def test_parts_of_one_file(write):
    lines = "file,label,split,start_s", OK + ",0", OK + ",1.5"
    assert [clip.start_s for clip in read_manifest(write(*lines)).clips] == [0.0, 1.5]


def test_empty_split(write):
    path = write("file,label,split", OK)
    read_manifest(path, required_splits=["train"])
    with pytest.raises(
        ManifestError, match="column 'split': empty split, no row has valid or test"
    ):
        read_manifest(path, required_splits=["train", "valid", "test"])


@pytest.mark.parametrize("link", ["audio/link.wav", "folder/far.wav"])
def test_link_out_of_the_root(write, tmp_path, tmp_path_factory, link):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "far.wav").touch()
    (tmp_path / "audio" / "link.wav").symlink_to(outside / "far.wav")
    (tmp_path / "folder").symlink_to(outside)
    with pytest.raises(ManifestError, match=r"row 2, column 'file': .* leaves .* through a link"):
        read_manifest(write("file,label,split", f"{link},x,train"))


def test_link_within_the_root(write, tmp_path):
    (tmp_path / "link.wav").symlink_to("audio/a.wav")
    assert read_manifest(write("file,label,split", "link.wav,x,train")).clips


def test_no_manifest(tmp_path):
    with pytest.raises(ManifestError, match="unreadable manifest"):
        read_manifest(tmp_path / "absent.csv")
    (tmp_path / "bytes.csv").write_bytes(b"file,label,split\n\xff\xff,x,train\n")
    with pytest.raises(ManifestError, match="unreadable manifest"):
        read_manifest(tmp_path / "bytes.csv")


TIMES = "file,label,split,start_s,duration_s"


@pytest.mark.parametrize(
    ("train", "test", "leaks"),
    [
        (",", "0,", "is in row 2 too"),
        (
            "0,0.8",
            "0.1,0.8",
            "leaking seconds, .* from 0.1 s on is in split test here and in split",
        ),
        ("0,", "7.5,1", "leaking seconds"),
        (",", "7.5,1", "leaking seconds"),
        ("3,1", ",3.5", "row 2, .*: leaking seconds, .* from 3.0 s on is in split train here and"),
        ("0,10", "2,1", "leaking seconds"),
        ("0.1,0.2", "0.3,1", None),  # 0.1 + 0.2 is more than 0.3, but not in seconds
        ("0,1.0004", "1,1", None),  # rounded to milliseconds
    ],
)
def test_the_same_seconds_on_two_sides_are_refused(write, train, test, leaks):
    path = write(TIMES, f"audio/a.wav,x,train,{train}", f"audio/a.wav,y,test,{test}")
    if leaks is None:
        assert len(read_manifest(path).clips) == 2
    else:
        with pytest.raises(ManifestError, match=leaks):
            read_manifest(path)


def test_overlaps_are_found_behind_shorter_clips_and_by_fold(write):
    rows = "audio/a.wav,x,1,0,9", "audio/a.wav,x,1,1,1", "audio/b.wav,y,2,,", "audio/a.wav,x,2,5,1"
    with pytest.raises(ManifestError, match=r"row 5, .* is in fold 2 here and in fold 1 in row 2"):
        read_manifest(write(TIMES.replace("split", "fold"), *rows))


@pytest.mark.parametrize("kind", ["symlink_to", "hardlink_to"])
def test_a_file_is_known_by_what_its_name_leads_to(write, tmp_path, kind):
    getattr(tmp_path / "link.wav", kind)(tmp_path / "audio" / "a.wav")
    with pytest.raises(ManifestError, match=r"row 3, .*: 'link.wav' is in row 2 too"):
        read_manifest(write("file,label,split", OK, "link.wav,x,test"))


def test_labels_groups_and_files_are_compared_in_nfc(write, tmp_path):
    one, other = "caf\u00e9", "cafe\u0301"
    (tmp_path / f"{other}.wav").touch()
    rows = f"{one}.wav,{one},train,{one}", f"audio/a.wav,{other},train,{other}"
    manifest = read_manifest(write("file,label,split,group", *rows))
    assert manifest.classes == (one,)
    assert manifest.path(manifest.clips[0]).is_file()
    with pytest.raises(ManifestError, match="leaking group"):
        read_manifest(write("file,label,split,group", rows[0], rows[1].replace("train", "test")))
    (tmp_path / f"{one}.wav").touch()
    with pytest.raises(ManifestError, match=r"row 2, column 'file': .* look alike: rename them"):
        read_manifest(write("file,label,split,group", *rows))


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("file,label,split", "audio/a.wav,do\u200bg,train", r"row 2, column 'label': .* U\+200B"),
        ("file,labels,split", "audio/a.wav,x;\u2060,train", r"row 2, column 'labels': .* U\+2060"),
        ("file,label,split,group", f"{OK},g\u00ad", r"row 2, column 'group': .* U\+00AD"),
        (
            "file,label,split,start_ms",
            f"{OK},20",
            "row 1: column 'start_ms'.* start_s or duration_s",
        ),
        (
            "file,label,split,Start_s",
            f"{OK},20",
            "row 1: column 'Start_s' must be called 'start_s'",
        ),
        ("file,label,split,start_s", f"{OK},1e300", "row 2, column 'start_s': must be less than"),
    ],
)
def test_what_would_be_read_otherwise_than_it_looks_is_refused(write, header, row, message):
    with pytest.raises(ManifestError, match=message):
        read_manifest(write(header, row))
