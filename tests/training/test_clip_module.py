import time
from typing import ClassVar

import pytest
import torch

from byola_diff import build
from byola_diff.clips.endless import ProceduralSource
from byola_diff.clips.source import ClipSource, TooManyRejectedError
from byola_diff.training.clip_module import RunLoader, StepBatches, WaitClock

CPU = torch.device("cpu")


class Numbers(ClipSource):
    """Ten clips, each of which holds nothing but its number and the epoch."""

    sample_rate, n_clips = 16_000, 10

    def batch(self, epoch, clips, device):
        return torch.stack([clips.float(), torch.full((len(clips),), float(epoch))], 1)


def clips_seen(steps, rank=0, world_size=1, batch_size=2):
    batches = StepBatches(Numbers(), 7, batch_size, rank, world_size)
    return [batches[step]["waveform"] for step in steps]


def test_every_epoch_is_a_pass_in_another_order():
    seen = torch.cat(clips_seen(range(10)))
    first, second = seen[:10], seen[10:]
    assert first[:, 1].tolist() == [0.0] * 10
    assert second[:, 1].tolist() == [1.0] * 10
    assert sorted(first[:, 0].tolist()) == sorted(second[:, 0].tolist()) == list(range(10))
    assert first[:, 0].tolist() != second[:, 0].tolist()


def test_what_has_no_batch_says_why_instead_of_raising():
    source = Numbers()
    source.batch = lambda *of: (_ for _ in ()).throw(TooManyRejectedError("3 of 4"))
    made = StepBatches(source, 7, 2, 0, 1)[5]
    assert (made["step"], str(made["error"]), made["rejected"]) == (5, "3 of 4", [])


def test_any_step_can_be_the_first():
    assert torch.equal(clips_seen([7])[0], clips_seen(range(8))[7])


def test_ranks_share_what_one_process_would_take():
    whole = clips_seen(range(4), batch_size=4)
    for step in range(4):
        shares = [clips_seen([step], rank, world_size=2)[0] for rank in range(2)]
        assert torch.equal(torch.cat(shares), whole[step])


def test_each_rank_passes_through_its_own_part():
    source = Numbers()
    source.n_parts = 3
    passes = []
    for rank in range(3):
        batches = StepBatches(source, 7, 2, rank, 3)
        taken = [batches.clips_of(step) for step in range(6)]
        assert [epoch for epoch, _ in taken] == [0, 1, 2, 3, 4, 5]  # 10 // (2 x 3) steps each
        clips = torch.cat([clips for _, clips in taken])
        assert (clips % 3 == rank).all()
        passes.append(clips)
    assert sorted(torch.cat(passes).unique().tolist()) == list(range(10))
    assert passes[1].tolist() != (passes[2] - 1).tolist()


def test_endless_source_never_repeats_a_clip():
    source = ProceduralSource(0, 512, 16_000)
    taken = [
        StepBatches(source, 7, 4, rank, 2).clips_of(step)[1]
        for step in range(3)
        for rank in range(2)
    ]
    assert torch.cat(taken).tolist() == list(range(24))


def test_source_on_the_device_makes_the_batch_there():
    source, devices = ProceduralSource(0, 512, 16_000), []
    source.batch = lambda epoch, clips, device: devices.append(device) or clips
    made = StepBatches(source, 7, 4, 0, 1, device="cuda")[2]
    assert (made["step"], made["epoch"], made["rejected"]) == (2, 0, [])
    assert made["waveform"].tolist() == [8, 9, 10, 11]
    assert made["waveform"].device.type == "cpu"  # the source looks at the numbers on the host
    assert devices == ["cuda"]


@pytest.mark.parametrize(("start", "expected"), [(0, [0, 1, 2, 3]), (3, [3]), (4, [])])
def test_loader_gives_what_is_left_and_counts_the_whole_run(start, expected):
    batches = StepBatches(Numbers(), 7, 2, 0, 1)
    loader = RunLoader(batches, CPU, batch_size=None, sampler=range(start, 4))
    assert [batch["step"] for batch in loader] == expected
    assert len(loader) == 4


def test_loader_counts_the_time_it_is_waited_for():
    class Slow(Numbers):
        def batch(self, epoch, clips, device):
            time.sleep(0.05)
            return super().batch(epoch, clips, device)

    batches = StepBatches(Slow(), 7, 2, 0, 1)
    loader = RunLoader(batches, CPU, batch_size=None, sampler=range(2, 5))
    steps = []
    for batch in loader:
        time.sleep(0.05)  # training
        steps.append(batch["step"])
    assert steps == [2, 3, 4]
    assert 0.15 <= loader.waiting.seconds < 0.25


class Event:
    """Stands in for a CUDA event: recorded when the device comes to it, at the time given."""

    comes_at: ClassVar[list[float]] = []
    now = 0.0

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self, stream):
        self.at = Event.comes_at.pop(0)

    def query(self):
        return Event.now >= self.at

    def elapsed_time(self, end):
        return 1000 * (end.at - self.at)


def test_a_device_that_lags_behind_waits_from_the_end_of_its_step(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    waiting = WaitClock(torch.device("cuda"))
    Event.comes_at = [5.0, 5.0, 9.0, 10.5]  # at work throughout the first; idle from 9 to 10.5
    for _ in range(2):
        with waiting():
            pass
    found = []
    for Event.now in (4.0, 6.0, 10.0, 11.0):
        found.append(waiting.seconds)
    assert found == [0.0, 0.0, 0.0, 1.5]


def test_loader_has_no_state(small_config, tmp_path):
    loader = RunLoader(StepBatches(Numbers(), 7, 2, 0, 1), CPU, batch_size=None)
    assert loader.state_dict() == {}
    loader.load_state_dict({})


def test_source_is_opened_for_the_device_of_the_process(small_config, pretrain, tmp_path):
    config = small_config(tmp_path, training={"steps": 1})
    devices = []

    class Watched(build.ClipModule):
        def setup(self, stage):
            devices.append(self.trainer.strategy.root_device)
            super().setup(stage)

    clips = Watched(config, 1)
    learner = build.build_learner(config, (-9.6, 3.8))
    build.build_trainer(config).fit(learner, clips)
    assert devices == [clips._loader.waiting.device] == [CPU]
    assert clips.waited_s > 0
