import numpy as np

from byola_diff.audio.log_mel import LogMel
from byola_diff.reports.figures import band_centres_hz, draw_log_mel, new_figure
from byola_diff.reports.training_figures import Panel, curves

_PNG = b"\x89PNG\r\n\x1a\n"


def test_curves_leave_out_what_a_run_does_not_have():
    runs = {
        "weight 0": {"step": [1.0, 2.0], "loss/byol": [4.0, 3.0], "loss/difference": [None, None]},
        "weight 0.5": {"step": [1.0, 2.0], "loss/byol": [4.0, 3.5], "loss/difference": [4.0, 2.0]},
    }
    panels = [Panel(name, name, "loss") for name in ("loss/byol", "loss/difference", "absent")]
    assert curves(runs, panels).startswith(_PNG)


def test_frequency_axis_has_the_bands_of_the_front_end():
    front_end = LogMel(f_min_hz=60.0, f_max_hz=7800.0)
    centres = band_centres_hz(front_end)
    assert len(centres) == 64
    assert (centres[1:] > centres[:-1]).all()
    assert 60 < centres[0] < 150
    assert 7000 < centres[-1] < 7800


def test_ticks_lie_at_their_frequencies():
    front_end = LogMel(f_min_hz=60.0, f_max_hz=7800.0)
    centres = band_centres_hz(front_end)
    axes = new_figure(2.0, 2.0).add_subplot()
    ticks_hz = {20.0: "low", float(centres[5]): "fifth", 1000.0: "1000", 9000.0: "high"}
    draw_log_mel(axes, np.zeros((64, 3)), front_end, (0.0, 1.0), ticks_hz)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["fifth", "1000"]
    places = axes.get_yticks()
    assert places[0] == 5
    below = int(places[1])
    assert centres[below] <= 1000 <= centres[below + 1]
