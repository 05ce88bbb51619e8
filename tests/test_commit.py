import re
import shutil
import subprocess

import pytest

from byola_diff import commit

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    (tmp_path / "byola_diff").mkdir()
    monkeypatch.setattr(commit, "__file__", str(tmp_path / "byola_diff" / "commit.py"))
    commit.code_commit.cache_clear()
    yield tmp_path
    commit.code_commit.cache_clear()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_commit_tells_whether_files_were_changed(checkout):
    (checkout / "a.txt").write_text("one")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*GIT, *words], cwd=checkout, check=True)
    clean = commit.code_commit()
    assert clean is not None
    assert re.fullmatch(r"[0-9a-f]{40}", clean)
    (checkout / "a.txt").write_text("two")
    commit.code_commit.cache_clear()
    assert commit.code_commit() == f"{clean}-dirty"


def test_no_checkout_has_no_commit(checkout):
    assert commit.code_commit() is None


def test_git_that_fails_is_no_error(checkout):
    (checkout / ".git").write_text("no repository")
    assert commit.code_commit() is None
