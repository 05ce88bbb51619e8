import io
import struct

import numpy as np
import pytest
import soundfile
import torch

from byola_diff.reports import players
from byola_diff.reports.figures import band_centres_hz, to_png
from byola_diff.reports.players import player, spectrogram_pictures
from tests.corpus import tone

PNG = b"\x89PNG\r\n\x1a\n"
RATE = 8000
SIZE = (800, 386)
NOISE = 0.1 * np.random.default_rng(0).standard_normal(RATE)


def size(png):
    return struct.unpack(">II", png[16:24])


def drawn(png):
    """Luminance in 0..1 of what is inside the axes, [pixel from the top, pixel]."""
    from matplotlib.image import imread

    s = players
    rgb = imread(io.BytesIO(png))[s._TOP : -s._BOTTOM, s._LEFT : -s._RIGHT, :3]
    return rgb @ np.array([0.299, 0.587, 0.114])


@pytest.fixture
def figures(monkeypatch):
    kept = []

    def keep(figure, dpi):
        kept.append(figure)
        return to_png(figure, dpi)

    monkeypatch.setattr(players, "to_png", keep)
    return kept


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
def test_level_peaks_at_the_tone_and_follows_its_gain(rate):
    front_end = players.picture_front_end(rate)
    loud = players.level_db(tone(1000.0, rate // 2, rate), front_end, 1)
    soft = players.level_db(0.1 * tone(1000.0, rate // 2, rate), front_end, 1)
    band = int(loud.mean(axis=1).argmax())
    assert band_centres_hz(front_end)[band] == pytest.approx(1000, rel=0.05)
    middle = loud.shape[1] // 2
    assert loud[band, middle] - soft[band, middle] == pytest.approx(20, abs=0.1)


def test_a_cell_has_the_mean_power_of_its_frames():
    front_end = players.picture_front_end(RATE)
    frames = players.level_db(NOISE, front_end, 1)
    cells = players.level_db(NOISE, front_end, 4)
    assert (frames.shape, cells.shape) == ((64, 101), (64, 26))
    by_hand = 10 * np.log10((10 ** (frames[:, 4:8] / 10)).sum(axis=1) / 4)
    np.testing.assert_allclose(cells[:, 1], by_hand, atol=1e-9)
    np.testing.assert_allclose(cells[:, 25], frames[:, 100], atol=1e-9)  # alone in the last cell


@pytest.mark.parametrize(
    ("levels_db", "expected"),
    [
        ([-50.0, 3.0], (-48.94, 3.0)),  # a fiftieth of the way up from the softest
        ([-150.0, -10.0, -140.0], (-90.0, -10.0)),
        ([-69.0, -69.0], (-69.0, -69.0)),
    ],
)
def test_range_of_colours_by_hand(levels_db, expected):
    images = [np.full((1, 1), level_db) for level_db in levels_db]
    assert players._range_db(images) == pytest.approx(expected, abs=1e-9)


def test_one_picture_for_each_of_one_size():
    pictures = spectrogram_pictures([tone(500.0, 4000), NOISE, tone(900.0, 80)], RATE)
    assert [png[:8] for png in pictures] == [PNG] * 3
    assert [size(png) for png in pictures] == [SIZE] * 3


def test_pictures_are_those_of_the_sounds_in_any_order():
    first = spectrogram_pictures([tone(500.0, 4000), NOISE], RATE)
    assert spectrogram_pictures([NOISE, tone(500.0, 4000)], RATE) == first[::-1]
    assert first[0] != first[1]


def test_a_softer_sound_is_darker_at_the_same_place():
    sound = tone(1000.0, RATE) + NOISE
    loud, soft = (drawn(png) for png in spectrogram_pictures([sound, 0.01 * sound], RATE))
    row, column = loud.shape[0] // 2, loud.shape[1] // 2
    assert loud[row, column] - soft[row, column] > 0.2
    assert (loud - soft).min() >= -1e-6  # nowhere brighter
    # Alone, each has a range of its own, and looks alike.
    alone = [drawn(spectrogram_pictures([one], RATE)[0]) for one in (sound, 0.01 * sound)]
    assert abs(alone[0] - alone[1]).mean() < 0.02


def test_40_db_are_half_of_a_range_of_80(figures):
    """The loudest has the brightest colour; 40 dB less is in the middle of 80 dB."""
    silence = np.zeros(RATE)
    spectrogram_pictures([silence, tone(1000.0, RATE), 0.01 * tone(1000.0, RATE)], RATE)
    _, loud, soft = (figure.axes[0].images[0] for figure in figures)
    low, high = loud.get_clim()
    assert soft.get_clim() == (low, high)
    assert high - low == pytest.approx(80, abs=1e-9)
    assert loud.get_array().max() == pytest.approx(high)
    assert soft.get_array().max() == pytest.approx((low + high) / 2, abs=0.1)


def test_the_colour_of_the_loudest_is_the_brightest():
    [png] = spectrogram_pictures([tone(1000.0, RATE)], RATE)
    rows = drawn(png).mean(axis=1)
    front_end = players.picture_front_end(RATE)
    band = abs(band_centres_hz(front_end) - 1000).argmin()
    assert len(rows) == 5 * 64
    assert 63 - rows.argmax() // 5 == pytest.approx(band, abs=1)


def test_time_ends_with_the_longest_and_grey_follows_the_end():
    short, long = (drawn(png) for png in spectrogram_pictures([NOISE[:4000], NOISE], RATE))
    grey = pytest.approx(0xDD / 255, abs=1.5 / 255)  # one step of the palette
    half = short.shape[1] // 2
    assert short[:, half + 10 :].min() == short[:, half + 10 :].max()
    assert short[0, -1] == grey
    assert short[:, : half - 10].std() > 0.01
    assert long.std(axis=0).min() > 0.01  # no column of grey


def test_axes_tell_seconds_and_kilohertz(figures):
    spectrogram_pictures([tone(500.0, 2 * RATE), tone(500.0, RATE)], RATE)
    for axes in [figure.axes[0] for figure in figures]:
        assert axes.get_xlim() == (0.0, 2.0)
        assert axes.get_ylabel() == "kHz"
        assert [label.get_text() for label in axes.get_yticklabels()] == ["0.1", "0.5", "1", "2"]
        seconds = [label.get_text() for label in axes.get_xticklabels()]
        assert (seconds[0], seconds[-1]) == ("0 s", "2 s")


@pytest.mark.parametrize("duration_s", [0.004, 0.37, 5.0, 30.0])
@pytest.mark.parametrize("rate", [8000, 48_000])
def test_no_text_overlaps_another_or_is_cut(figures, duration_s, rate):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    spectrogram_pictures([np.ones(round(duration_s * rate))], rate)
    [figure] = figures
    figure.set_dpi(200)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    [axes] = figure.axes
    texts = [axes.yaxis.label, *axes.get_yticklabels(), *axes.get_xticklabels()]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    assert len(boxes) > 5
    for place, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= SIZE[0]
        assert box.y1 <= SIZE[1]
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])


def test_fewer_bytes_for_the_same_colours(figures):
    from matplotlib.image import imread

    [png] = spectrogram_pictures([tone(1000.0, RATE) + NOISE], RATE)
    before = to_png(figures[0], players._DPI)
    pixels = [imread(io.BytesIO(data))[..., :3] for data in (before, png)]
    assert np.ptp(pixels[0], axis=-1).astype(bool).mean() > 0.6
    assert abs(pixels[0] - pixels[1]).max() <= 1.5 / 255
    assert len(png) < len(before) / 2


def test_files_are_small_even_of_noise():
    rng = np.random.default_rng(1)
    noises = [rng.standard_normal(seconds * 16_000) for seconds in (1, 5, 10)]
    assert max(len(png) for png in spectrogram_pictures(noises, 16_000)) < 40_000


def test_silence_and_clips_shorter_than_a_window():
    assert len(spectrogram_pictures([np.zeros(3), np.ones(1)], RATE)) == 2
    [silent] = spectrogram_pictures([np.zeros(RATE)], RATE)
    assert drawn(silent).max() < 0.05


def test_drawing_takes_nothing_from_the_generators():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    spectrogram_pictures([tone(500.0, 4000)], RATE)
    assert torch.equal(torch.get_rng_state(), before)


def heard(audio):
    return soundfile.read(io.BytesIO(audio.wav), dtype="int16")


def test_samples_are_those_of_the_waveform():
    waveform = np.array([0.0, 0.5, -0.25, -0.999], np.float32)
    audio = player(waveform, 16_000, "a dog")
    samples, rate = heard(audio)
    assert samples.tolist() == [0, 16384, -8192, -32735]
    assert rate == 16_000
    assert audio.caption == "a dog"


def test_a_loud_waveform_is_turned_down_not_clipped():
    audio = player(np.array([2.0, -1.0, 0.5]), 8000, "loud")
    samples, _ = heard(audio)
    assert samples.tolist() == [32767, -16384, 8192]
    assert audio.caption == "loud (turned down by 6.0 dB to fit)"


def test_a_spectrogram_comes_with_the_sound():
    assert player(np.array([0.5]), 8000, "", b"png").spectrogram == b"png"
    assert player(np.array([0.5]), 8000, "").spectrogram is None


def test_full_scale_does_not_wrap():
    audio = player(np.array([1.0, -1.0]), 8000, "loud")
    samples, _ = heard(audio)
    assert samples.tolist() == [32767, -32767]
    assert audio.caption == "loud"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_can_not_be_played_is_refused(value):
    with pytest.raises(ValueError, match="NaN or infinite"):
        player(np.array([value, 0.0]), 8000, "x")
