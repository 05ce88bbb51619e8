import json
import logging
import pickle
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest

from byola_diff.soundscapes.render.jams_document import to_jams
from byola_diff.soundscapes.render.jams_file import read_jams
from byola_diff.soundscapes.render.mixer import MIXER_NAME, integrated_lufs, mix, open_renderer
from byola_diff.soundscapes.render.plan import RenderError
from tests.soundscapes.scenes import KINDS, RATE, bed, event, scene, write_sources

TOLERANCE = 1e-4  # of full scale


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    return write_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def render():
    pytest.importorskip("scaper")
    return open_renderer("scaper")[1]


@pytest.mark.parametrize("kind", KINDS)
def test_scaper_and_the_mixer_agree(render, roots, kind):
    plan = KINDS[kind]
    theirs, ours = render(plan, roots), mix(plan, roots)
    for their, our in zip(theirs.stems, ours.stems, strict=True):
        assert np.abs(their - our).max() <= TOLERANCE
    assert np.abs(theirs.mixture - ours.mixture).max() <= TOLERANCE
    assert theirs.gains_db == pytest.approx(ours.gains_db, abs=0.01)


@pytest.mark.parametrize("kind", ["two beds and two events", "background repeated from within"])
def test_at_one_rate_they_agree_to_the_last_bits(render, roots, kind):
    theirs, ours = render(KINDS[kind], roots), mix(KINDS[kind], roots)
    np.testing.assert_allclose(theirs.mixture, ours.mixture, rtol=0, atol=1e-9)
    assert theirs.gains_db == pytest.approx(ours.gains_db, abs=1e-6)


def test_events_are_where_the_plan_says_and_as_loud(render, roots):
    plan = KINDS["two beds and two events"]
    stems = render(plan, roots).stems
    for planned, stem in zip(plan.events, stems, strict=True):
        loudness = integrated_lufs(np.trim_zeros(stem), RATE)
        assert loudness == pytest.approx(plan.ref_db + planned.snr_db, abs=0.2)
        onset_s = np.flatnonzero(stem)[0] / RATE
        assert onset_s == pytest.approx(planned.event_time_s, abs=0.002)


def test_same_bits_again_and_nothing_left_behind(render, roots, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    plan = KINDS["one event"]
    root_level = logging.getLogger().level
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = render(plan, roots), render(plan, roots)
    assert first.mixture.tobytes() == second.mixture.tobytes()
    assert first.gains_db == second.gains_db
    assert not list(tmp_path.iterdir())
    assert not caplog.records
    assert logging.getLogger().level == root_level


def test_refuses_what_the_mixer_refuses(render, roots):
    with pytest.raises(RenderError, match=r"dog/silent.wav: silent"):
        render(scene(event("silent")), roots)
    with pytest.raises(RenderError, match=r"dog/slow.wav: ends before 1 s"):
        render(scene(event("slow", 1.0)), roots)
    with pytest.raises(RenderError, match=r"dog/click.wav: .* less than a fade"):
        render(scene(event("click")), roots)


def test_what_is_beyond_full_scale_is_left_as_it_is(render, roots):
    plan = scene(bed(), ref_db=-6.0)
    assert np.abs(render(plan, roots).mixture).max() > 1
    assert np.abs(render(plan, roots).mixture - mix(plan, roots).mixture).max() < 1e-9


@pytest.mark.parametrize("others", [(), (event(),)])
def test_refuses_a_background_that_scaper_leaves_too_short(render, roots, others):
    root_level = logging.getLogger().level
    with pytest.raises(RenderError, match="Scaper"):
        render(scene(bed("short", 0.5), *others), roots)
    assert logging.getLogger().level == root_level


def test_scaper_renders_the_jams_we_write(render, roots, tmp_path):
    import jams
    import scaper

    plan = KINDS["two beds and two events"]
    path = tmp_path / "scene.jams"
    path.write_text(to_jams(plan, {"fold": 1}))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Passing a schema to", DeprecationWarning)
        assert jams.load(str(path), validate=True, strict=True).sandbox.byola_diff["fold"] == 1
        folders = [str(roots[role]) for role in ("foreground", "background")]
        mixture, *_ = scaper.generate_from_jams(str(path), fg_path=folders[0], bg_path=folders[1])
    assert np.abs(mixture[:, 0] - mix(plan, roots).mixture).max() < 1e-9


def test_plans_of_scaper_render_alike(render, tmp_path):
    """Scaper draws a plan on numpy 2 and renders it; read from its JAMS, we render the same."""
    import scaper

    folders = write_sources(tmp_path)
    maker = scaper.Scaper(2.0, *(str(folders[r]) for r in ("foreground", "background")))
    maker.sr, maker.ref_db = RATE, -30
    zero = ("const", 0)
    source = str(folders["background"] / "rain" / "b.wav")
    maker.add_background(("const", "rain"), ("const", source), ("uniform", 0, 3))
    source = str(folders["foreground"] / "dog" / "long.wav")
    times = (("uniform", 0, 1), ("uniform", 0.3, 0.5), ("uniform", -5, 5))
    maker.add_event(("const", "dog"), ("const", source), zero, *times, None, None)
    path = tmp_path / "drawn.jams"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Passing a schema to", DeprecationWarning)
        mixture, *_ = maker.generate(jams_path=str(path), fix_clipping=False)
    relative_sources(path, tmp_path)
    plan = read_jams(path, folders)
    assert np.abs(mixture[:, 0] - mix(plan, folders).mixture).max() < 1e-9


def relative_sources(path, root):
    path.write_text(path.read_text().replace(f"{root}/", ""))
    assert "source_file" in json.loads(path.read_text())["annotations"][0]["data"][0]["value"]


def test_renderers_are_named_with_version_and_travel():
    name, renderer = open_renderer("mixer")
    assert (name, renderer) == (MIXER_NAME, mix)
    assert pickle.loads(pickle.dumps(renderer)) is mix
    pytest.importorskip("scaper")
    name, renderer = open_renderer("auto")
    assert name.startswith("scaper 1.")
    assert pickle.loads(pickle.dumps(renderer)) is renderer


@pytest.mark.parametrize("absent", ["scaper", "sox"])
def test_without_scaper_auto_is_the_mixer(monkeypatch, absent):
    if absent == "scaper":
        monkeypatch.delitem(
            sys.modules, "byola_diff.soundscapes.render.scaper_renderer", raising=False
        )
        monkeypatch.setitem(sys.modules, "scaper", None)
    monkeypatch.setenv("PATH", "" if absent == "sox" else str(Path(sys.executable).parent))
    assert open_renderer("auto") == (MIXER_NAME, mix)
    with pytest.raises(ModuleNotFoundError, match=r"pip install --no-deps scaper==1\.6\.5"):
        open_renderer("scaper")
