import struct

import numpy as np
import pytest
import torch
from corpus import tone

from byola_diff.evaluation.results import spectrograms
from byola_diff.evaluation.results.spectrograms import spectrogram_figure

PNG = b"\x89PNG\r\n\x1a\n"
RATE = 8000


def size(png):
    return struct.unpack(">II", png[16:24])


def test_more_panels_take_more_rows():
    panels = [(f"tone {n}", tone(200.0 * n, 4000)) for n in range(1, 6)]
    one, two = (spectrogram_figure(panels[:n], RATE) for n in (4, 5))
    assert one.startswith(PNG)
    assert size(one)[0] == size(two)[0]
    assert size(two)[1] > size(one)[1]


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
def test_level_peaks_at_the_tone_and_follows_its_gain(rate):
    front_end = spectrograms._front_end(rate)
    loud = spectrograms._level_db(tone(1000.0, rate // 2, rate), front_end)
    soft = spectrograms._level_db(0.1 * tone(1000.0, rate // 2, rate), front_end)
    band = int(loud.mean(axis=1).argmax())
    assert spectrograms._band_centres_hz(front_end)[band] == pytest.approx(1000, rel=0.05)
    middle = loud.shape[1] // 2
    assert loud[band, middle] - soft[band, middle] == pytest.approx(20, abs=0.1)


def test_panels_share_colours_and_axes(monkeypatch):
    figures = []

    def keep(figure):
        figures.append(figure)
        return PNG

    monkeypatch.setattr(spectrograms, "to_png", keep)
    spectrogram_figure([("loud", tone(500.0, 8000)), ("soft", 0.1 * tone(500.0, 4000))], RATE)
    loud, soft = figures[0].axes[:2]
    assert loud.images[0].get_clim() == soft.images[0].get_clim() == (-80.0, 0.0)
    assert loud.images[0].get_array().max() == pytest.approx(0, abs=1e-4)
    assert soft.images[0].get_array().max() == pytest.approx(-20, abs=0.1)
    assert loud.get_xlim() == soft.get_xlim() == (0.0, 1.0)
    assert loud.get_ylabel() == "frequency (kHz)"
    assert [axes.get_xlabel() for axes in (loud, soft)] == ["time (s)"] * 2
    assert [axes.get_title() for axes in (loud, soft)] == ["loud", "soft"]


def test_no_text_overlaps_another(monkeypatch):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figures = []
    monkeypatch.setattr(spectrograms, "to_png", lambda figure: figures.append(figure) or PNG)
    title = "a mixture of a dog and heavy rain on a roof at 1.5 dB"
    spectrogram_figure([(title, tone(500.0, 8000))] * 6, RATE)
    figure = figures[0]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [
        text.get_window_extent(canvas.get_renderer())
        for axes in figure.axes
        if axes.get_visible()
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label)
        if text.get_text()
    ]
    assert len(boxes) == 6 + 4 + 2 + 1
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])


def test_silence_and_clips_shorter_than_a_window():
    assert spectrogram_figure([("silence", np.zeros(3)), ("click", np.ones(1))], RATE).startswith(
        PNG
    )


def test_drawing_takes_nothing_from_the_generators():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    spectrogram_figure([("tone", tone(500.0, 4000))], RATE)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("panels", "columns"), [([], 4), ([("a", np.ones(9))], 0), ([("a", np.ones(0))], 4)]
)
def test_nothing_to_draw_is_refused(panels, columns):
    with pytest.raises(ValueError, match="needs panels, columns, and samples in each"):
        spectrogram_figure(panels, RATE, columns)
