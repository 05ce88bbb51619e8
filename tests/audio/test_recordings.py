import numpy as np
import pytest
import soundfile
import torch

from byola_diff.audio import recordings
from byola_diff.audio.files import AudioFileError, write_wav
from byola_diff.audio.recordings import LAYOUTS, checked_rate, read_mono, separate
from byola_diff.audio.resample import resample
from tests.helpers import uniform_noise

STEREO = np.array([[0.5, 0.25, -1.0], [0.0, -0.25, 1.0]], dtype=np.float32)


@pytest.fixture(autouse=True)
def nothing_was_said():
    recordings.say_once.cache_clear()


def mono(source, array_rate=16_000, to_rate=16_000):
    [source], _ = separate([source])
    return read_mono(source, array_rate, to_rate, "it")


def shapes(*given):
    sources, is_alone = separate(*given)
    return [source.shape for source in sources], is_alone


# Axes.


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((9,), None, ([(1, 9)], True)),
        ((9,), "channel sample", ([(1, 9)], True)),
        ((1, 9), None, ([(1, 9)], False)),
        ((2, 9), "channel sample", ([(2, 9)], True)),
        ((9, 2), "sample channel", ([(2, 9)], True)),
        ((2, 9), "batch sample", ([(1, 9)] * 2, False)),
        ((3, 2, 9), None, ([(2, 9)] * 3, False)),
        ((3, 9, 2), None, ([(2, 9)] * 3, False)),
        ((3, 1, 9), None, ([(1, 9)] * 3, False)),
        ((3, 2, 4), "batch channel sample", ([(2, 4)] * 3, False)),
        ((3, 2, 4), "batch sample channel", ([(4, 2)] * 3, False)),
    ],
)
def test_axes(shape, layout, expected):
    samples = np.zeros(shape, dtype=np.float32)
    assert shapes(samples, layout) == expected
    assert shapes(torch.from_numpy(samples), layout) == expected


def test_each_sample_is_where_the_layout_says():
    clips = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for layout in LAYOUTS[3:]:
        sources, _ = separate(clips, layout)
        order = clips if layout == "batch channel sample" else clips.transpose(0, 2, 1)
        np.testing.assert_array_equal(sources, order)
    sources, _ = separate(STEREO, "batch sample")
    np.testing.assert_array_equal(np.stack(sources)[:, 0], STEREO)


@pytest.mark.parametrize(
    ("shape", "fitting"),
    [
        ((2, 9), "layout='channel sample' or 'sample channel' or 'batch sample'"),
        ((9, 1), "layout='channel sample' or 'sample channel' or 'batch sample'"),
        ((3, 2, 4), "layout='batch channel sample' or 'batch sample channel'"),
        ((3, 20, 40), "layout='batch channel sample' or 'batch sample channel'"),
    ],
)
def test_what_may_be_read_in_several_ways_is_refused(shape, fitting):
    with pytest.raises(ValueError, match=f"can be read in several ways: .*{fitting}$"):
        separate(np.zeros(shape))


@pytest.mark.parametrize(
    ("given", "layout", "error", "reason"),
    [
        (np.zeros((2, 9)), "samples", ValueError, "layout must be one of 'channel sample'"),
        (np.zeros((2, 9)), "batch channel sample", ValueError, r"\[2, 9\], which is not \[batch,"),
        (np.zeros((1, 2, 3, 4)), None, ValueError, "has 4 axes"),
        (np.float32(0.5), None, TypeError, "recordings is of type float32: pass a file"),
        (np.array(0.5), None, ValueError, "has 0 axes"),
        (np.zeros(0), None, ValueError, r"the array is empty: \[0\]"),
        (np.zeros((0, 9)), "batch sample", ValueError, r"is empty: \[0, 9\]"),
        ([], None, ValueError, "the list of recordings is empty"),
        ([np.zeros(9), np.zeros(0)], None, ValueError, r"recordings\[1\] is empty"),
        ([np.zeros((2, 9))], "batch sample", ValueError, r"recordings\[0\] holds 2 clips, but an"),
        ([[0.1, 0.2]], None, TypeError, r"recordings\[0\] is of type list: pass a file"),
        ([0.1, 0.2], None, TypeError, r"recordings\[0\] is of type float: .* array: numpy.array\("),
        ((np.zeros(9), 16_000), None, TypeError, r"recordings\[1\] is of type int"),
        (
            None,
            None,
            TypeError,
            "recordings is None: pass a file, .* or a list of files and arrays$",
        ),
        (np.zeros(9, dtype=np.int64), None, TypeError, "are int64, which has no scale"),
        (torch.zeros(9, dtype=torch.bool), None, TypeError, "are bool, which has no scale"),
        (np.zeros(9, dtype=np.uint16), None, TypeError, "are uint16"),
        (np.zeros(9, dtype=complex), None, TypeError, "are complex128"),
    ],
)
def test_what_is_no_recording(given, layout, error, reason):
    with pytest.raises(error, match=reason):
        separate(given, layout)


def test_a_list_of_anything():
    given = [STEREO[0], torch.zeros(5), np.zeros((1, 4)), STEREO, "a.wav"]
    sources, is_alone = separate(given, "channel sample")
    assert [getattr(source, "shape", None) for source in sources] == [
        *((1, 3), (1, 5), (1, 4), (2, 3)),
        None,
    ]
    assert not is_alone
    assert not separate([STEREO[0]])[1]


# Samples.


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (np.int8, [-128, 64, 127], [-1, 0.5, 127 / 128]),
        (np.uint8, [0, 128, 192, 255], [-1, 0, 0.5, 127 / 128]),
        (np.int16, [-32768, 16384, 1], [-1, 0.5, 1 / 32768]),
        (np.dtype(">i2"), [-32768, 16384, 1], [-1, 0.5, 1 / 32768]),
        (np.int32, [-(2**31), 2**30, 0], [-1, 0.5, 0]),
        (np.float16, [-1, 0.5], [-1, 0.5]),
        (np.float64, [-1, 0.1], [-1, 0.1]),
    ],
)
def test_scales(kind, values, expected):
    samples = np.array(values, dtype=kind)
    waveform = mono(samples)
    assert waveform.dtype == np.float32
    np.testing.assert_array_equal(waveform, np.array(expected, dtype=np.float32))
    if samples.dtype.isnative:
        np.testing.assert_array_equal(mono(torch.from_numpy(samples)), waveform)


def test_tensors_of_training_and_strange_memory():
    samples = torch.tensor([0.5, -0.5], dtype=torch.bfloat16, requires_grad=True)
    np.testing.assert_array_equal(mono(samples), [0.5, -0.5])
    values = np.arange(8, dtype=np.float32) / 8
    values.setflags(write=False)
    np.testing.assert_array_equal(mono(values[::-2]), [7 / 8, 5 / 8, 3 / 8, 1 / 8])


def test_what_is_given_stays_as_it_was():
    values = np.full(20, 0.5, dtype=np.float32)
    mono(values)[:] = 0
    assert (values == 0.5).all()


def test_channels_are_averaged():
    [source], _ = separate(STEREO, "channel sample")
    np.testing.assert_array_equal(read_mono(source, 8000, 8000, "it"), [0.25, 0, 0])
    [source], _ = separate(np.array([[16384, 0]], dtype=np.int16).T, "channel sample")
    np.testing.assert_array_equal(read_mono(source, 8000, 8000, "it"), [0.25])


def test_resampled_as_everywhere():
    noise = uniform_noise(4410).numpy()
    np.testing.assert_array_equal(mono(noise, 44_100), resample(noise, 44_100, 16_000))
    assert mono(noise, 44_100).shape == (1600,)
    np.testing.assert_array_equal(mono(noise[:1], 44_100), [0])  # less than half a sample


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(bad):
    with pytest.raises(ValueError, match="it holds NaN or infinite samples"):
        mono(np.array([0, bad, 0], dtype=np.float32))


@pytest.mark.parametrize("peak", [4.01, -30_000.0])
def test_samples_that_were_not_scaled(peak, tmp_path):
    samples = np.array([0.0, peak, 0.0])
    with pytest.raises(ValueError, match=rf"it reaches {abs(peak):g}, .* not scaled\?"):
        mono(samples)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(AudioFileError, match="not scaled"):  # as of a file
        mono(tmp_path / "a.wav")
    np.testing.assert_array_equal(mono(np.array([4.0, -4.0])), [4, -4])


@pytest.mark.parametrize("rate", [0, 99, 44_100.5, float("nan"), "16000", None, True, 2_000_000])
def test_rates_that_are_none(rate):
    with pytest.raises(ValueError, match="sample_rate must be whole Hz"):
        checked_rate(rate)


def test_rates():
    assert [checked_rate(rate) for rate in (44_100, 44_100.0, np.int64(8000))] == [
        *(44_100, 44_100),
        8000,
    ]


# Files.


def test_a_folder_in_the_order_of_names(tmp_path):
    for name in ("b.wav", "a/z.wav", "c.wav", "B.wav", "a.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_wav(tmp_path / name, np.zeros(9), 16_000)
    (tmp_path / "notes.txt").touch()
    sources, is_alone = separate(str(tmp_path))
    names = [source.relative_to(tmp_path).as_posix() for source in sources]
    assert names == ["B.wav", "a.wav", "a/z.wav", "b.wav", "c.wav"]
    assert not is_alone


def test_a_file_has_its_own_rate_and_channels(tmp_path, capsys):
    path = tmp_path / "stereo.wav"
    noise = uniform_noise(800, 2).numpy()
    soundfile.write(path, noise, 8000, subtype="FLOAT")
    [source], is_alone = separate(path)
    assert is_alone
    waveform = read_mono(source, 44_100, 16_000, "it")
    np.testing.assert_array_equal(waveform, resample(noise.mean(1), 8000, 16_000))
    said = capsys.readouterr().err
    assert "several channels are mixed to mono" in said
    assert "recordings at 8000 Hz are resampled to 16000 Hz by soxr" in said


def test_files_that_are_none(tmp_path):
    with pytest.raises(ValueError, match=f"no audio files in {tmp_path}"):
        separate(tmp_path)
    with pytest.raises(ValueError, match=r"recordings\[0\] is the folder .*: pass a folder alone"):
        separate([tmp_path])
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    for name in ("a.wav", "none.wav"):
        with pytest.raises(AudioFileError, match=name):
            mono(tmp_path / name)


def test_what_is_done_is_said_once(capsys):
    for _ in range(2):
        mono(np.zeros(100, dtype=np.float32), 8000)
        read_mono(STEREO, 16_000, 16_000, "it")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    mono(np.zeros(100, dtype=np.float32), 48_000)
    assert "at 48000 Hz are resampled to 16000 Hz" in capsys.readouterr().err
    mono(np.zeros(100, dtype=np.float32))
    assert capsys.readouterr().err == ""
