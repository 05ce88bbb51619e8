import pytest

from byola_diff.commands import prepare_task
from tests.processes import run


def prepare(*args):
    return run("datasets/prepare_task.py", *args)


@pytest.fixture(scope="module")
def script():
    """The script as a module: to start Python anew for every error takes seconds."""
    return prepare_task


@pytest.fixture
def folder(tmp_path):
    """Two words of Speech Commands, one clip per split and word; one listed file is absent."""
    files = [f"{word}/{who}_nohash_0.wav" for who in "abc" for word in ("no", "yes")]
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "validation_list.txt").write_text("no/b_nohash_0.wav\nyes/b_nohash_0.wav\n")
    tested = "no/c_nohash_0.wav\nyes/c_nohash_0.wav\nyes/d_nohash_0.wav\n"
    (tmp_path / "testing_list.txt").write_text(tested)
    return tmp_path


def test_run_writes_the_manifest_and_says_what_is_not_as_published(folder):
    done = prepare("spcv2", folder, "--allow-partial", "--allow-missing", "0.2")
    assert done.returncode == 0, done.stderr
    assert (folder / "spcv2.csv").read_text().splitlines() == [
        "file,label,split,group",
        "no/a_nohash_0.wav,no,train,a",
        "no/b_nohash_0.wav,no,valid,b",
        "no/c_nohash_0.wav,no,test,c",
        "yes/a_nohash_0.wav,yes,train,a",
        "yes/b_nohash_0.wav,yes,valid,b",
        "yes/c_nohash_0.wav,yes,test,c",
    ]
    assert (folder / "spcv2.task.json").exists()
    assert "train 2, valid 2, test 2, clips 6, classes 2" in done.stdout
    assert "1 of 7 listed files are missing" in done.stdout
    assert "WARNING: differs from the published task: train: 2, not 84843;" in done.stdout
    assert "licence of the data: CC BY 4.0" in done.stdout


def test_published_data_and_own_splits_are_told_apart(script, tmp_path, capsys):
    (tmp_path / "AudioWAV").mkdir()
    for number in range(91):
        (tmp_path / "AudioWAV" / f"{1001 + number}_DFA_ANG_XX.wav").touch()
    assert status(script, ["cremad", str(tmp_path), "--allow-partial", "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    assert "WARNING: differs from the published task: split: our own, seed 3;" in printed
    assert "--split-file: columns file_name and split, such as EVAR's cremad.csv" in printed


def status(script, args):
    """Exit status, whichever way the script ends."""
    try:
        return script.main(args)
    except SystemExit as end:
        return end.code


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], "1 of 7 listed files are missing (0.0% allowed), the first:\n  yes/d_nohash_0.wav"),
        (["--allow-missing", "0.2"], "prepare_task.py: spcv2: the data are not those published"),
        (["--allow-missing", "2"], "--allow-missing must be a share"),
        (["--out", "x.txt"], "--out must end in .csv"),
        (["--split-file", "x.csv"], "spcv2 comes with its split"),
    ],
)
def test_errors_are_told_and_write_nothing(script, folder, capsys, args, expected):
    assert status(script, ["spcv2", str(folder), *args]) == 2
    assert expected in capsys.readouterr().err
    assert not list(folder.glob("spcv2*"))


def test_help_has_an_example_and_all_tasks(script, capsys):
    assert status(script, ["--help-all"]) == 0
    printed = capsys.readouterr().out
    assert "python datasets/prepare_task.py esc50 data/ESC-50-master" in printed
    assert "cremad: CREMA-D (Cao et al., 2014)" in printed
    assert "DIR holds meta/esc50.csv and audio/" in printed
