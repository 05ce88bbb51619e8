"""The LightningModule: waveform batch to optimiser step, and the target's step after it."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from pytorch_lightning import LightningModule
from torch import Tensor

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.audio.waveform import as_waveform
from byola_diff.commit import code_commit
from byola_diff.config import PretrainConfig, TrainingConfig, to_plain
from byola_diff.models.pair import OnlineTargetPair, update_target
from byola_diff.randomness import derive_seed, torch_generator
from byola_diff.training.cuda_graphs import RecordedTerms
from byola_diff.training.objective import Objective
from byola_diff.training.views import ViewMaker


class Learner(LightningModule):
    """Trains an online/target pair on two views of each clip. Wiring only, no maths."""

    def __init__(
        self,
        config: PretrainConfig,
        log_mel: LogMel,
        normalize: Normalize,
        make_views: ViewMaker,
        pair: OnlineTargetPair,
        objective: Objective,
        bfloat16: bool = False,
        identity: dict[str, Any] | None = None,
    ) -> None:
        """Take the parts that were built from the configuration, which goes into each checkpoint.

        With `bfloat16`, the networks run under autocast; losses never do. `identity` of the run
        goes into checkpoints too.
        """
        super().__init__()
        self.log_mel, self.normalize, self.make_views = log_mel, normalize, make_views
        self.pair, self.objective = pair, objective
        self.config, self.training_config = to_plain(config), config.training
        self.seed, self.ema_decay = config.seed, config.training.ema_decay
        self.uses_bfloat16, self.identity = bfloat16, identity
        self._recorded = RecordedTerms(pair, self.terms) if config.training.cuda_graphs else None

    def setup(self, stage: str) -> None:
        """Take the corpus statistics of the first process, which alone has computed them."""
        statistics = self.normalize.mean, self.normalize.std
        numbers = self.trainer.strategy.broadcast([number.item() for number in statistics])
        for buffer, number in zip(statistics, numbers, strict=True):
            buffer.fill_(number)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Loss terms of one batch; `loss` is what is minimised."""
        device, step, rank = batch["waveform"].device, batch["step"], self.global_rank
        # Every draw of the step is a function of (seed, step, rank): resuming needs no state.
        torch.manual_seed(derive_seed(self.seed, "dropout", step, rank))
        generator = torch_generator(self.seed, "views", step, rank, device=device)
        with torch.no_grad():
            log_mels = [
                self.normalize(self.log_mel(as_waveform(batch[name])))
                for name in ("waveform", "second_waveform")
                if name in batch
            ]
            views = self.make_views(log_mels[0], generator, log_mels[-1])
        rates = torch_generator(self.seed, "rates", step, rank, device=device)
        # What a step of 1 in the views is in the logarithm of power.
        log_scale = self.normalize.std * views.std
        terms = self.loss_terms(views.first, views.second, rates, log_scale, views.short)
        total = terms.pop("total")
        # Lightning divides `loss` by the number of accumulated batches; `total` stays as it is.
        return {"loss": total, "total": total.detach(), **terms}

    def loss_terms(
        self,
        first: Float[Tensor, "batch 1 mel frame"],
        second: Float[Tensor, "batch 1 mel frame"],
        generator: torch.Generator,
        log_scale: float | Float[Tensor, ""] = 1.0,
        short: Sequence[Tensor] = (),
    ) -> dict[str, Tensor]:
        """The objective's terms, with the networks at the run's precision."""
        rates = self.objective.draw_rates(first, generator)
        if self._recorded:
            log_scale = torch.as_tensor(log_scale, device=first.device)
            return self._recorded(first, second, rates, log_scale, short)
        return self.terms(first, second, rates, log_scale, short)

    def terms(
        self,
        first: Float[Tensor, "batch 1 mel frame"],
        second: Float[Tensor, "batch 1 mel frame"],
        rates: Sequence[Float[Tensor, " batch"]],
        log_scale: float | Float[Tensor, ""],
        short: Sequence[Float[Tensor, "batch 1 mel half_frame"]],
    ) -> dict[str, Tensor]:
        """`loss_terms` for rates drawn already."""
        with torch.autocast(first.device.type, torch.bfloat16, enabled=self.uses_bfloat16):
            return self.objective.terms(self.pair, first, second, rates, log_scale, short)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step the online weights, then let the target follow: once per optimiser step."""
        place = self.training_config, self.trainer.global_step, self.trainer.max_steps
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = learning_rate(*place)
        self.ema_decay = target_decay(*place)
        super().optimizer_step(*args, **kwargs)
        update_target(self.pair.online, self.pair.target, self.ema_decay)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam over everything that takes a gradient; AdamW where weights decay."""
        trained = [weight for weight in self.pair.parameters() if weight.requires_grad]
        lr, decay = self.training_config.lr, self.training_config.weight_decay
        if decay == 0:
            return torch.optim.Adam(trained, lr=lr, fused=True)
        kept = {"params": [weight for weight in trained if weight.ndim == 1], "weight_decay": 0.0}
        decayed = {"params": [weight for weight in trained if weight.ndim > 1]}
        return torch.optim.AdamW([decayed, kept], lr=lr, weight_decay=decay, fused=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add configuration, commit and identity, and the mixup memories of all processes."""
        checkpoint["config"], checkpoint["commit"] = self.config, code_commit()
        if self.identity:
            checkpoint["identity"] = self.identity
        if self.trainer.world_size > 1:  # Lightning keeps the state of the first process alone
            clips = self.make_views.memory.clips
            memories = [torch.empty_like(clips) for _ in range(self.trainer.world_size)]
            torch.distributed.all_gather(memories, clips)
            checkpoint["mixup_memories"] = memories

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Give each process its own mixup memory."""
        memories = checkpoint.get("mixup_memories")
        if memories:
            clips = memories[self.global_rank % len(memories)]
            checkpoint["state_dict"]["make_views.mixup.memory.clips"] = clips


def learning_rate(training: TrainingConfig, step: int, n_steps: int) -> float:
    """Learning rate of a step, counted from 0, of the run: resuming needs no state.

    "constant" is `lr` throughout, as published; "cosine" a straight rise to it over the warm-up,
    times half a cosine that would be 0 one step after the last.
    """
    if training.schedule == "constant":
        return training.lr
    rise = min(1.0, (step + 1) / n_steps / training.warmup_share)
    return training.lr * rise * (1 + math.cos(math.pi * step / n_steps)) / 2


def target_decay(training: TrainingConfig, step: int, n_steps: int) -> float:
    """What the target keeps of its weights after a step, counted from 0, of the run.

    "constant" is `ema_decay` throughout, as in BYOL-A; "cosine" rises from it to 1 along half a
    cosine.

    Source:
        Grill et al., 2020, "Bootstrap your own latent", Sec. 3.3.
    """
    if training.ema_schedule == "constant":
        return training.ema_decay
    return 1 - (1 - training.ema_decay) * (1 + math.cos(math.pi * step / n_steps)) / 2
