"""An item is refused for a source that is not there, in the order of the items; others are made."""

import numpy as np
import soundfile

from byola_diff.soundscapes.pairs.corpus import RequiredSources, produce_items
from byola_diff.soundscapes.production.output_folder import CorpusOptions
from byola_diff.soundscapes.sources.preparation import SourceFile

RATE = 8_000


def source(folder, name, samples):
    path = folder / f"{name}.wav"
    soundfile.write(path, samples, RATE)
    return SourceFile(path, f"dev/foreground/dog/{name}.wav", is_background=False)


def render(options, item):
    if item == "odd":
        raise ValueError("odd: has no such file as none.wav")
    return item.upper()


def test_the_reason_is_why_a_source_is_not_there(tmp_path):
    tone = np.sin(np.arange(RATE))
    files = [source(tmp_path, "good", tone), source(tmp_path, "silent", np.zeros(RATE))]
    options = CorpusOptions(out=tmp_path / "out", renderer="mixer")
    good, silent, gone = (f"dev/foreground/dog/{name}.wav" for name in ("good", "silent", "gone"))
    left_over = options.out / "source" / gone
    left_over.parent.mkdir(parents=True)
    left_over.write_bytes(b"of an earlier run")
    needed = {"a": [good], "b": [good, gone], "c": [silent, gone], "odd": [good]}
    required = RequiredSources(files, needed, {gone: "is not in --esc50"})
    items = ["c", "odd", "a", "b"]
    done, lost, n_sources = produce_items(options, required, items, render, str, title="items")
    assert done == [("a", "A")]
    assert n_sources == 1
    assert not left_over.exists()
    first, *refused = [(one.name, one.reason) for one in lost]
    assert first[0] == f"source/{silent}"
    assert "silent: nothing to trim to" in first[1]
    assert refused == [
        ("c", f"its source {silent} was refused: {first[1]}"),
        ("odd", "has no such file as none.wav"),
        ("b", f"its source {gone} is not in --esc50"),
    ]
