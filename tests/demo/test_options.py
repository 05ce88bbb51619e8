import pytest

from byola_diff.demo import options, sounds
from byola_diff.demo.options import DemoOptions, begin, check_needs
from tests.corpus import write_corpus


def test_other_settings_recordings_or_sizes_are_not_mixed(tmp_path, monkeypatch):
    write_corpus(tmp_path / "mine", column="fold")
    table = tmp_path / "mine/manifest.csv"
    given = DemoOptions(out=tmp_path / "out", events=table)
    begin(given)
    begin(given)
    for other in (
        DemoOptions(out=tmp_path / "out"),
        DemoOptions(out=tmp_path / "out", events=table, steps=3),
        DemoOptions(out=tmp_path / "out", events=table, backgrounds=tmp_path),
    ):
        with pytest.raises(FileExistsError, match="other settings"):
            begin(other)
    table.write_text(table.read_text().replace("low", "deep"))
    with pytest.raises(FileExistsError, match="other settings"):
        begin(given)
    monkeypatch.setattr(sounds, "N_DRAWS", 9)
    with pytest.raises(FileExistsError, match="other settings"):
        begin(DemoOptions(out=tmp_path / "out", events=table))


@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        ({"config": "none.yaml"}, FileNotFoundError, "--config .*none.yaml: there is no such file"),
        ({"events": "labels.csv"}, ValueError, "must be named manifest.csv"),
        ({"events": "manifest.csv"}, (OSError, ValueError), "manifest.csv"),
        ({"backgrounds": "none"}, FileNotFoundError, "--backgrounds .*none: there is no such"),
        ({"audio": "none"}, FileNotFoundError, "--audio .*none: there is no such folder"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_done(
    given, error, reason, tmp_path, monkeypatch
):
    monkeypatch.setattr(options, "check_shipped", lambda: None)
    paths = {name: tmp_path / word for name, word in given.items()}
    with pytest.raises(error, match=reason):
        check_needs(DemoOptions(out=tmp_path / "out", **paths))
    assert not (tmp_path / "out").exists()
