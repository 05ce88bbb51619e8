"""Training with the compiled passes is training without them, but for rounding."""

import pytest
import torch

from byola_diff.models.cnn import AudioNTT2020
from byola_diff.models.kernels import Kernels
from byola_diff.models.pair import OnlineTargetPair, update_target
from byola_diff.training.objective import Objective
from tests.helpers import needs_compiler, normal_noise

N_STEPS, WINDOW, N_MELS = 200, 20, 16


def losses(monkeypatch, bfloat16, compiled, nudge=0.0):
    """Losses of a small pair; `nudge` changes each weight at first by about that share."""
    torch.manual_seed(0)
    pair = OnlineTargetPair(AudioNTT2020(N_MELS, 64), 32, 16).to(memory_format=torch.channels_last)
    objective, found = Objective(), []
    with torch.no_grad():
        for weight in pair.parameters():
            weight.mul_(1 + nudge * torch.randn_like(weight))
    optimizer = torch.optim.Adam([w for w in pair.parameters() if w.requires_grad], 1e-3)
    with monkeypatch.context() as patch:
        if not compiled:
            patch.setattr(Kernels, "of", classmethod(lambda cls, values: None))
        for step in range(N_STEPS):
            torch.manual_seed(step)
            sound = normal_noise(16, 1, N_MELS, 16, seed=step)
            views = [sound + normal_noise(*sound.shape, seed=1000 + 2 * step + n) for n in (0, 1)]
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                generator = torch.Generator().manual_seed(step)
                loss = objective(pair, *views, generator)["total"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            update_target(pair.online, pair.target, 0.99)
            found.append(loss.item())
    return torch.tensor(found)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("bfloat16", [False, True])
def test_losses_of_200_steps_differ_as_if_weights_had_been_rounded(monkeypatch, bfloat16):
    fast = losses(monkeypatch, bfloat16, compiled=True)
    plain = losses(monkeypatch, bfloat16, compiled=False)
    rounding = 2**-9 if bfloat16 else 2**-24
    nudged = losses(monkeypatch, bfloat16, compiled=False, nudge=rounding)
    by_us, by_rounding = (
        (other - plain).reshape(-1, WINDOW).mean(1).abs().max().item() for other in (fast, nudged)
    )
    assert fast[0].item() == pytest.approx(plain[0].item(), abs=0.05 if bfloat16 else 1e-5)
    assert by_us < 4 * by_rounding
    # They have learnt something; how much within the first steps depends on the processor.
    assert fast[-WINDOW:].mean() < 0.8 * fast[0]
