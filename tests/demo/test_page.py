from byola_diff.demo import page
from byola_diff.demo.options import DemoOptions


def test_sources_in_words(tmp_path):
    options = DemoOptions(events=tmp_path / "bells/manifest.csv", audio=tmp_path / "trains")
    assert page.sources(options) == {
        "events": "recordings in bells",
        "backgrounds": "procedural sounds",
        "training": "recordings in trains",
    }
