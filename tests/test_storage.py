import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from byola_diff.atomic import atomic_path
from byola_diff.storage import (
    BrokenFileError,
    hash_file,
    load_checked,
    load_fault,
    load_tensors,
    save_checked,
    sha256,
)

STATE = {"weights": {"a": torch.arange(1000.0)}, "step": 3, "name": "x", "list": [1, 2.5, None]}


class Attack:
    """Creates a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_what_is_saved_comes_back(tmp_path):
    path = tmp_path / "new folder" / "last.ckpt"
    save_checked(STATE, path)
    loaded = load_checked(path)
    torch.testing.assert_close(loaded["weights"], STATE["weights"])
    assert {k: v for k, v in loaded.items() if k != "weights"} == {
        k: v for k, v in STATE.items() if k != "weights"
    }
    assert sorted(file.name for file in path.parent.iterdir()) == ["last.ckpt", "last.ckpt.sha256"]


def test_hash_file_is_in_the_format_of_sha256sum(tmp_path):
    save_checked(STATE, tmp_path / "a.ckpt")
    text = hash_file(tmp_path / "a.ckpt").read_text()
    assert text == f"{sha256(tmp_path / 'a.ckpt')}  a.ckpt\n"


def test_sha256_by_hand(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # The example of FIPS 180-2.
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_saving_again_replaces(tmp_path):
    save_checked(STATE, tmp_path / "a.ckpt")
    save_checked({"step": 4}, tmp_path / "a.ckpt")
    assert load_checked(tmp_path / "a.ckpt") == {"step": 4}


def test_failed_write_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "a.ckpt"
    path.write_text("old")

    def write_half():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_crash_between_file_and_hash_is_noticed(tmp_path):
    path = tmp_path / "a.ckpt"
    save_checked(STATE, path)
    with atomic_path(path) as temporary:
        torch.save({"step": 9}, temporary)
    with pytest.raises(BrokenFileError, match="does not match its SHA-256"):
        load_checked(path)


@pytest.mark.parametrize("position", [0, 500, -1])
def test_altered_file(tmp_path, position):
    path = tmp_path / "a.ckpt"
    save_checked(STATE, path)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(BrokenFileError, match="does not match its SHA-256") as caught:
        load_checked(path)
    assert caught.value.path == path


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_checked(tmp_path / "a.ckpt")
    with pytest.raises(FileNotFoundError, match="no file at"):
        load_tensors(tmp_path / "a.ckpt")
    torch.save(STATE, tmp_path / "a.ckpt")
    with pytest.raises(BrokenFileError, match=r"a.ckpt.sha256 is missing: no checkpoint"):
        load_checked(tmp_path / "a.ckpt")


@pytest.mark.parametrize("content", ["", "zz  a.ckpt\n"])
def test_broken_hash_file(tmp_path, content):
    save_checked(STATE, tmp_path / "a.ckpt")
    hash_file(tmp_path / "a.ckpt").write_text(content)
    with pytest.raises(BrokenFileError, match="does not match its SHA-256"):
        load_checked(tmp_path / "a.ckpt")


def write_pickle(state, path, protocol):
    """By torch where there is no protocol."""
    if protocol is None:
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state, protocol))


@pytest.mark.parametrize("protocol", [0, 2, 4, None])
def test_hostile_pickle_is_refused_and_not_run(tmp_path, protocol):
    path, state = tmp_path / "a.pth", {"a": torch.zeros(1), "b": Attack(tmp_path / "created")}
    write_pickle(state, path, protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(BrokenFileError, match="not a file of plain tensors"):
            load_tensors(path)
    assert not (tmp_path / "created").exists()


@pytest.mark.parametrize("protocol", [0, 2, 4, None])
def test_a_refusal_gives_no_advice_to_load_it_anyway(tmp_path, protocol):
    path, state = tmp_path / "a.pth", {"b": Attack(tmp_path / "created")}
    write_pickle(state, path, protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(BrokenFileError, match="could run code") as caught:
            load_tensors(path)
    told = str(caught.value)
    for advice in ("weights_only", "trust", "safe_globals", "two options", "pickle.load", "\x1b"):
        assert advice not in told


def test_nor_does_one_of_an_array(tmp_path):
    (tmp_path / "a.npy").write_bytes(pickle.dumps({"b": Attack(tmp_path / "created")}))
    with pytest.raises(ValueError, match=r"pickle") as refused:
        np.load(tmp_path / "a.npy", allow_pickle=False)
    assert load_fault(refused.value).startswith("damaged, or holds more than tensors")


def test_a_hash_does_not_make_a_hostile_file_safe(tmp_path):
    path = tmp_path / "a.ckpt"
    save_checked({"b": Attack(tmp_path / "created")}, path)
    with pytest.raises(BrokenFileError, match="not a file of plain tensors"):
        load_checked(path)
    assert not (tmp_path / "created").exists()


def test_truncated_anywhere(tmp_path):
    path = tmp_path / "a.pth"
    torch.save(STATE, path)
    content = path.read_bytes()
    for size in range(0, len(content), 97):
        path.write_bytes(content[:size])
        with pytest.raises(BrokenFileError, match="not a file of plain tensors"):
            load_tensors(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02", b"PK\x03\x04", bytes(range(256))])
def test_files_of_another_kind(tmp_path, content):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(BrokenFileError, match="not a file of plain tensors"):
        load_tensors(tmp_path / "a.pth")


def test_only_named_tensors(tmp_path):
    torch.save([1, 2], tmp_path / "a.pth")
    with pytest.raises(BrokenFileError, match="holds a list, not named tensors"):
        load_tensors(tmp_path / "a.pth")


def test_a_zip_that_stands_for_far_more_than_it_holds_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.pth"
    torch.save({"w": torch.zeros(1_000_000)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(BrokenFileError, match=r"its \d{4} bytes stand for 400\d{4}"):
        load_tensors(path)
    assert load_tensors(tmp_path / "plain.pth")["w"].shape == (1_000_000,)


def test_an_error_reaches_other_processes_as_it_is():
    error = pickle.loads(pickle.dumps(BrokenFileError(Path("a.pth"), "truncated")))
    assert isinstance(error, BrokenFileError)
    assert (error.path, error.reason, str(error)) == (
        Path("a.pth"),
        "truncated",
        "a.pth: truncated",
    )
