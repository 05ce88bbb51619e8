import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from byola_diff.augment.crop import RandomResizeCrop, Span, draw_span, resize_crop
from byola_diff.randomness import torch_generator


def images(n_clips, n_mels, n_frames):
    return torch.randn(n_clips, 1, n_mels, n_frames, generator=torch_generator("images"))


def spans(starts, lengths):
    return Span(torch.tensor(starts), torch.tensor(lengths))


def reference(log_mel, mel, frame):
    """Box after box cut from a canvas of zeros around the image, resized by torch."""
    n_mels, n_frames = log_mel.shape[-2:]
    margin = 300
    results = []
    for clip, image in enumerate(log_mel):
        canvas = torch.zeros(1, n_mels + 2 * margin, n_frames + 2 * margin)
        canvas[:, margin : margin + n_mels, margin : margin + n_frames] = image
        top, left = mel.start[clip].item() + margin, frame.start[clip].item() + margin
        height, width = mel.length[clip].item(), frame.length[clip].item()
        box = canvas[None, :, top : top + height, left : left + width]
        size = (n_mels, n_frames)
        results.append(interpolate(box, size=size, mode="bicubic", align_corners=True)[0])
    return torch.stack(results)


def random_spans(n_clips, size, generator):
    """Lengths of 1 to twice the axis, placed so that most boxes reach over an edge."""
    length = torch.randint(1, 2 * size + 1, (n_clips,), generator=generator)
    start = torch.randint(-size, size, (n_clips,), generator=generator)
    return Span(start, length)


@pytest.mark.parametrize(("n_mels", "n_frames"), [(64, 96), (16, 33), (1, 7), (5, 1), (2, 2)])
def test_equals_torch_bicubic_of_each_box(n_mels, n_frames):
    generator = torch_generator("boxes", n_mels)
    log_mel = images(150, n_mels, n_frames)
    mel = random_spans(150, n_mels, generator)
    frame = random_spans(150, n_frames, generator)
    out = resize_crop(log_mel, mel, frame)
    torch.testing.assert_close(out, reference(log_mel, mel, frame), rtol=0, atol=1e-5)


def test_half_precision_is_resized_in_float32():
    log_mel, box = images(2, 8, 9).bfloat16(), spans([1, 0], [5, 6])
    assert torch.equal(resize_crop(log_mel, box, box), resize_crop(log_mel.float(), box, box))


def test_equals_torch_bicubic_for_the_boxes_that_are_drawn():
    log_mel = images(150, 64, 96)
    draws = torch.rand(4, 150, generator=torch_generator("law"))
    mel = draw_span(64, (0.6, 1.5), 1.0, draws[0], draws[1])
    frame = draw_span(96, (0.6, 1.5), 1.5, draws[2], draws[3])
    out = resize_crop(log_mel, mel, frame)
    torch.testing.assert_close(out, reference(log_mel, mel, frame), rtol=0, atol=1e-5)


def test_by_hand():
    # Two lines 0 and 8 at three places: the middle one is halfway, which any cubic kernel that
    # repeats the edge lines puts at the mean.
    log_mel = torch.tensor([0.0, 8.0, 50.0]).reshape(1, 1, 1, 3)
    out = resize_crop(log_mel, spans([0], [1]), spans([0], [2]))
    torch.testing.assert_close(out.flatten(), torch.tensor([0.0, 4.0, 8.0]), rtol=0, atol=1e-6)


def test_a_box_of_one_line_repeats_it():
    log_mel = images(2, 8, 12)
    out = resize_crop(log_mel, spans([3, 0], [1, 8]), spans([0, 5], [12, 1]))
    expected_row = log_mel[0, :, 3:4].expand(1, 8, 12)
    expected_column = log_mel[1, :, :, 5:6].expand(1, 8, 12)
    torch.testing.assert_close(out[0], expected_row, rtol=0, atol=1e-6)
    torch.testing.assert_close(out[1], expected_column, rtol=0, atol=1e-6)


def test_the_whole_image_is_the_identity():
    log_mel = images(3, 64, 96)
    out = resize_crop(log_mel, spans([0] * 3, [64] * 3), spans([0] * 3, [96] * 3))
    torch.testing.assert_close(out, log_mel, rtol=0, atol=2e-6)


def test_outside_the_image_is_zero():
    log_mel = torch.ones(2, 1, 4, 6)
    out = resize_crop(log_mel, spans([0, 4], [4, 3]), spans([-9, 0], [5, 6]))
    assert torch.equal(out, torch.zeros(2, 1, 4, 6))


def test_span_by_hand():
    # floor((0.6 + 0.9 * draw) * 96) on a canvas of 144 whose frame 24 is the image's frame 0.
    size_draw = torch.tensor([0.0, 0.0, 0.5, 0.999])
    place_draw = torch.tensor([0.0, 0.9999, 0.5, 0.9999])
    span = draw_span(96, (0.6, 1.5), 1.5, size_draw, place_draw)
    assert span.length.tolist() == [57, 57, 100, 143]
    # Of 88, 88, 45 and 2 places.
    assert span.start.tolist() == [-24, 87 - 24, 22 - 24, 1 - 24]


def test_span_is_kept_on_the_canvas():
    ends = torch.tensor([0.0, 1 - 2**-24])
    high = draw_span(64, (0.6, 1.5), 1.0, ends, ends)
    assert high.length.tolist() == [38, 64]
    assert high.start.tolist() == [0, 0]
    assert draw_span(3, (0.1, 0.2), 1.0, ends, ends).length.tolist() == [1, 1]


def draw_many():
    draws = torch.rand(4, 10_000, generator=torch_generator("many"))
    mel = draw_span(64, (0.6, 1.5), 1.0, draws[0], draws[1])
    frame = draw_span(96, (0.6, 1.5), 1.5, draws[2], draws[3])
    return mel, frame


def test_law_of_the_sizes():
    mel, frame = draw_many()
    assert (mel.length.amin(), mel.length.amax()) == (38, 64)
    # The contract's 144 needs a draw of exactly 1.5.
    assert (frame.length.amin(), frame.length.amax()) == (57, 143)
    # Height 38 has U in [0.6, 39/64): share (39/64 - 0.6) / 0.9; full height has U >= 1.
    for length, expected in [(38, (39 / 64 - 0.6) / 0.9), (50, 1 / 64 / 0.9), (64, 0.5 / 0.9)]:
        share = (mel.length == length).float().mean().item()
        assert share == pytest.approx(expected, abs=5 * (expected / 10_000) ** 0.5)
    for length in (57, 100, 143):
        low, high = max(length / 96, 0.6), (length + 1) / 96
        expected = (high - low) / 0.9
        share = (frame.length == length).float().mean().item()
        assert share == pytest.approx(expected, abs=5 * (expected / 10_000) ** 0.5)


def test_law_of_the_places():
    for span, margin, canvas in zip(draw_many(), (0, 24), (64, 144), strict=True):
        place, room = span.start + margin, canvas - span.length
        assert (place >= 0).all()
        assert (place <= room).all()
        some = room >= 1
        # Both ends are drawn, as often as 1 / (room + 1) has it: five deviations.
        expected = (1 / (room[some] + 1)).sum().item()
        for end in ((place == 0)[some], (place == room)[some]):
            assert end.sum().item() == pytest.approx(expected, abs=5 * expected**0.5)
        middle = ((place + 0.5) / (room + 1))[some]
        assert middle.mean().item() == pytest.approx(0.5, abs=0.025)


def test_size_and_place_of_both_axes_are_independent():
    mel, frame = draw_many()
    some = mel.length < 64
    mel_place = (mel.start + 0.5) / (64 - mel.length + 1)
    frame_place = (frame.start + 24 + 0.5) / (144 - frame.length + 1)
    draws = torch.stack([mel.length, mel_place, frame.length, frame_place])[:, some]
    correlation = torch.corrcoef(draws) - torch.eye(4)
    assert correlation.abs().max() < 0.075  # five standard errors of 4 444 clips


def test_random_crop_is_the_law_and_the_resizing():
    log_mel = images(20, 64, 96)
    draws = torch.rand(4, 20, generator=torch_generator(3))
    mel = draw_span(64, (0.6, 1.5), 1.0, draws[0], draws[1])
    frame = draw_span(96, (0.6, 1.5), 1.5, draws[2], draws[3])
    expected = reference(log_mel, mel, frame)
    out = RandomResizeCrop()(log_mel, torch_generator(3))
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-5)


def test_each_clip_has_its_own_box():
    log_mel = images(1, 64, 96).repeat(16, 1, 1, 1)
    out = RandomResizeCrop()(log_mel, torch_generator(0))
    distance = torch.cdist(out.flatten(1), out.flatten(1)) + 1e9 * torch.eye(16)
    assert distance.amin() > 1


def test_equal_under_equal_seeds_and_blind_to_other_clips():
    log_mel, crop = images(4, 16, 24), RandomResizeCrop()
    out = crop(log_mel, torch_generator(0))
    assert torch.equal(out, crop(log_mel, torch_generator(0)))
    assert not torch.equal(out, crop(log_mel, torch_generator(1)))
    changed = log_mel.clone()
    changed[1:] = 7
    assert torch.equal(out[0], crop(changed, torch_generator(0))[0])


def test_one_clip():
    assert RandomResizeCrop()(images(1, 64, 96), torch_generator(0)).shape == (1, 1, 64, 96)


DRAW = st.floats(0, 1, exclude_max=True, width=32)


@settings(max_examples=100, deadline=None)
@given(
    size=st.integers(1, 200),
    low=st.floats(0.1, 2),
    factor=st.floats(1, 3),
    canvas_scale=st.floats(1, 2),
    draws=st.lists(st.tuples(DRAW, DRAW), min_size=1, max_size=8),
)
def test_a_box_has_a_line_and_lies_on_the_canvas(size, low, factor, canvas_scale, draws):
    size_draw, place_draw = torch.tensor(draws).T
    scale = (low, low * factor)
    start, length = draw_span(size, scale, canvas_scale, size_draw, place_draw)
    canvas = int(size * canvas_scale)
    first = -((canvas - size) // 2)
    assert (length >= 1).all()
    assert (start >= first).all()
    assert (start + length <= first + canvas).all()
    # Up to the rounding of float32.
    assert (length <= max(1, scale[1] * size * (1 + 1e-6))).all()
    assert (length >= min(int(low * size * (1 - 1e-6)), canvas)).all()
