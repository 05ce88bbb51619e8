"""C++ is compiled once, kept, and done without where it can't be."""

import subprocess

import pytest

from byola_diff import compiled
from byola_diff.compiled import compiled_library
from tests.helpers import needs_compiler

SOURCE = """
#include <omp.h>
extern "C" {
int max_threads() { return omp_get_max_threads(); }
int answer() { return 42; }
}
"""


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("BYOLA_DIFF_COMPILED", raising=False)
    compiled_library.cache_clear()
    yield
    compiled_library.cache_clear()


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "answer.cpp"
    path.write_text(SOURCE)
    return path


@needs_compiler
def test_functions_of_the_file_can_be_called(source, capsys):
    assert compiled_library(source).answer() == 42
    assert capsys.readouterr().err == ""


@needs_compiler
def test_what_was_compiled_is_kept_until_the_source_changes(source, tmp_path, monkeypatch):
    compiled_library(source)
    ran, run = [], subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: ran.append(a) or run(*a, **k))
    compiled_library.cache_clear()
    assert compiled_library(source).answer() == 42
    assert len(ran) == 1  # the compiler's version
    source.write_text(SOURCE.replace("42", "43"))
    compiled_library.cache_clear()
    assert compiled_library(source).answer() == 43
    assert len(list((tmp_path / "cache" / "byola_diff").glob("*.so"))) == 2


@needs_compiler
def test_a_kept_file_that_is_cut_short_is_made_again(source):
    kept = compiled._kept_path(source, compiled._run(["c++", "--version"]))
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"")
    assert compiled_library(source).answer() == 42
    assert kept.stat().st_size > 0


@needs_compiler
def test_a_compiler_may_be_given_with_words_before_and_behind(source, monkeypatch):
    monkeypatch.setenv("CXX", "env c++ -O1")
    assert compiled_library(source).answer() == 42


def test_it_can_be_switched_off(source, monkeypatch, tmp_path):
    monkeypatch.setenv("BYOLA_DIFF_COMPILED", "0")
    assert compiled_library(source) is None
    assert not (tmp_path / "cache").exists()


def test_without_a_compiler_it_is_done_without_which_is_said_once(source, monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert compiled_library(source) is None
    assert compiled_library(source) is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("answer.cpp is not compiled, which is slower: there is no C++ compiler")


@needs_compiler
def test_what_the_compiler_says_is_shown(source, capsys):
    source.write_text("this is no C++")
    assert compiled_library(source) is None
    assert "error" in capsys.readouterr().err


@needs_compiler
def test_threads_of_another_pool_are_refused(source, capsys):
    source.write_text(SOURCE.replace("omp_get_max_threads()", "7"))
    assert compiled_library(source) is None
    assert capsys.readouterr().err == "answer.cpp is not used: its threads are not PyTorch's\n"


@needs_compiler
def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(
    source, monkeypatch, tmp_path, capsys
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiled_library(source) is None
    assert "is not compiled" in capsys.readouterr().err


@needs_compiler
def test_a_user_without_a_home_is_no_reason_to_stop(source, monkeypatch, capsys):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(compiled.Path, "home", no_home)
    assert compiled_library(source) is None
    assert "Could not determine home directory" in capsys.readouterr().err


def test_the_file_is_part_of_the_package():
    assert compiled.Path(compiled.__file__).with_name("models").joinpath("kernels.cpp").is_file()
