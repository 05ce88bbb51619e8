"""Packages found in a folder."""

from byola_diff.free_corpus.fetch import DebFolder
from tests.free_corpus.debs import deb


def test_the_version_asked_for_is_preferred(tmp_path):
    for version in ("1.0", "2.0"):
        deb(tmp_path, "alpha", {}, version).rename(tmp_path / f"any-name-{version}.deb")
    folder = DebFolder(tmp_path)
    assert folder.find("alpha", "1.0") == ("1.0", tmp_path / "any-name-1.0.deb")
    assert folder.find("alpha", "0.5") == ("2.0", tmp_path / "any-name-2.0.deb")
    assert folder.find("any-name-1.0", "1.0") is None
