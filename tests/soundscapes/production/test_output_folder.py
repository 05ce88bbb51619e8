import json
import os

import pytest

from byola_diff.atomic import FolderInUseError, only_writer
from byola_diff.soundscapes.production.output_folder import (
    SETTINGS,
    CorpusOptions,
    begin_folder,
    check_folder,
    in_own_folder,
)

WANTED = {"seed": 1, "range": (0.0, 3.0)}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "new" / "out"


def test_begun_and_continued(folder):
    check_folder(folder, WANTED)
    assert not folder.exists()
    begin_folder(folder, WANTED, ["table.csv"])
    assert json.loads((folder / SETTINGS).read_text()) == {"seed": 1, "range": [0.0, 3.0]}
    (folder / "table.csv").touch()
    check_folder(folder, {"seed": 1})
    assert (folder / "table.csv").exists()
    begin_folder(folder, WANTED, ["table.csv"])
    assert {path.name for path in folder.iterdir()} == {SETTINGS}


@pytest.mark.parametrize("settings", [{"seed": 2}, {"seed": 1, "more": 3}, {"range": [0, 4]}])
def test_other_settings_are_refused_before_anything_is_removed(folder, settings):
    begin_folder(folder, WANTED, ["table.csv"])
    (folder / "table.csv").touch()
    with pytest.raises(
        ValueError, match=r"other settings \((seed|more|range); see .*another --out"
    ):
        begin_folder(folder, settings, ["table.csv"])
    assert (folder / "table.csv").exists()


def test_broken_settings(folder):
    begin_folder(folder, WANTED, ["table.csv"])
    (folder / SETTINGS).write_text("{")
    with pytest.raises(ValueError, match="no JSON"):
        check_folder(folder, WANTED)
    (folder / SETTINGS).write_text("[]")
    with pytest.raises(ValueError, match="seed, range"):
        check_folder(folder, WANTED)


def test_other_files_are_refused_but_for_hidden_ones(folder):
    (folder / ".git").mkdir(parents=True)
    check_folder(folder, WANTED)
    (folder / "x.txt").touch()
    with pytest.raises(ValueError, match=r"holds other files, such as x\.txt: give another --out"):
        check_folder(folder, WANTED)


def test_a_command_has_its_folder_alone_unless_it_writes_nothing(folder):
    def n_locks(options):
        return len(list(options.out.glob(".lock")))

    assert in_own_folder(n_locks, CorpusOptions(out=folder, dry_run=True)) == 0
    assert in_own_folder(n_locks, CorpusOptions(out=folder)) == 1
    assert not folder.exists()
    with only_writer(folder), pytest.raises(FolderInUseError, match="another command is writing"):
        in_own_folder(n_locks, CorpusOptions(out=folder))
    folder.touch()
    with pytest.raises(ValueError, match=r"--out .* is no folder"):
        in_own_folder(n_locks, CorpusOptions(out=folder))


def test_an_impossible_place_is_told_with_its_option(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, culprit in (("file", "file"), ("file/out", "file"), ("link", "link")):
        with pytest.raises(ValueError, match=rf"--out .*{name}: .*{culprit} is no folder"):
            check_folder(tmp_path / name, WANTED)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the tests may run as root
    with pytest.raises(ValueError, match=rf"--out .*x: nothing can be written in {tmp_path}$"):
        check_folder(tmp_path / "x", WANTED)
