"""Pretrain an encoder.

    python train.py --config configs/pretrain/diff2024.yaml --data.root DIR --out_dir runs/mine

Run it again with `--resume auto` to go on after a stop. Any setting of the file can be given as an
option: `--objective.difference_weight 0.2`; `--print_config` shows them all.
"""

import torch

from byola_diff import build
from byola_diff.command_line import HelpfulParser
from byola_diff.config import PretrainConfig
from byola_diff.training.allocator import keep_freed_memory


def parse_args(args: list[str] | None = None) -> tuple[PretrainConfig, str]:
    """Configuration, and what to resume: "no", "auto" or a path."""
    parser = HelpfulParser(description=__doc__)
    parser.add_argument("--config", action="config", help="YAML file with any of the settings")
    parser.add_class_arguments(PretrainConfig)
    parser.add_argument("--resume", default="no", help="'auto', or the path of a checkpoint")
    namespace = parser.parse_args(args)
    resume = namespace.pop("resume")
    namespace.pop("config")
    return PretrainConfig(**vars(parser.instantiate_classes(namespace))), resume


def main() -> None:
    """Parse, build, fit."""
    config, resume = parse_args()
    keep_freed_memory()
    torch.set_float32_matmul_precision("high")
    checkpoint = build.find_checkpoint(config, resume)
    learner = build.build_learner(config, build.statistics_of_run(config, checkpoint))
    trainer = build.build_trainer(config)
    trainer.fit(learner, build.build_clip_module(config), ckpt_path=checkpoint)
    if trainer.is_global_zero:
        print(f"done: {config.out_dir / 'checkpoints' / 'last.ckpt'}")


if __name__ == "__main__":
    main()
