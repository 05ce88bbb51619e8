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
