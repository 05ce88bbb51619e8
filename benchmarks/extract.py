"""Clips per second of embedding extraction: ours against a plain loop.

    python benchmarks/extract.py                  # 5 s clips on the CPU
    python benchmarks/extract.py --device cuda

AudioNTT2022 (3072) on wav files of 5 s at 16 kHz, from file to embedding: the same files and
weights for all. The plain loop reads a batch, computes torch's STFT and a mel matrix, and runs
stock modules in contiguous float32; ours is `embed` without a cache. The variants take turns for
several rounds, and each ratio is the median over the rounds: the speed of a shared machine drifts,
the ratio of neighbours in time much less. Where the hardware has no bfloat16, it is emulated,
slowly: `--variants plain float32` leaves it out.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import soundfile
import torch
from plain_loop import PlainEncoder

from byola_diff.audio.files import write_wav
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.embeddings.extract import ExtractionOptions, embed
from byola_diff.encoders.content_hash import content_hash
from byola_diff.encoders.open import NamedEncoder
from byola_diff.models.cnn import AudioNTT2022
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.precision import Precision, computes_bfloat16
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.preprocessing import Preprocessing

STATISTICS = (-10.0, 4.0)
RATE, CLIP_S = 16_000, 5
PLAIN = "plain"
OURS: tuple[Precision, ...] = ("float32", "bfloat16")


def plain_loop(
    encoder: AudioEncoder, manifest: Manifest, batch: int, device: torch.device
) -> Callable[[], torch.Tensor]:
    """What a newcomer writes, with the weights of `encoder`."""
    model = PlainEncoder().eval().to(device)
    model.load_state_dict(encoder.network.state_dict())
    for parameter in model.parameters():  # channels-last in ours
        parameter.data = parameter.data.contiguous()
    front_end = encoder.log_mel
    window, bank = torch.hann_window(front_end.window_samples, device=device), front_end.mel_bank
    mean, std = STATISTICS

    @torch.no_grad()
    def run() -> torch.Tensor:
        embeddings = []
        for start in range(0, len(manifest.clips), batch):
            clips = manifest.clips[start : start + batch]
            samples = [soundfile.read(manifest.path(clip), dtype="float32")[0] for clip in clips]
            waveform = torch.stack([torch.from_numpy(clip) for clip in samples]).to(device)
            spectrum = torch.stft(
                waveform,
                front_end.n_fft,
                front_end.hop_samples,
                window=window,
                return_complex=True,
            )
            log_mel = torch.log(bank @ spectrum.abs() ** 2 + torch.finfo(torch.float32).eps)
            embeddings.append(model((log_mel[:, None] - mean) / std).cpu())
        return torch.cat(embeddings)

    return run


def our_extraction(
    encoder: AudioEncoder,
    manifest: Manifest,
    batch: int,
    device: torch.device,
    precision: Precision,
) -> Callable[[], torch.Tensor]:
    """`embed` in one precision."""
    named = NamedEncoder("benchmark", encoder, content_hash(encoder))
    options = ExtractionOptions(
        batch_size=batch, device=device, precision=precision, progress=False
    )
    return lambda: embed(named, manifest, "scene", Preprocessing(CLIP_S), options).scene


def make_clips(folder: Path, n_clips: int) -> Manifest:
    """Noise with a level and a colour that differ by clip."""
    generator = torch.Generator().manual_seed(0)
    for number in range(n_clips):
        noise = torch.randn(CLIP_S * RATE, generator=generator)
        smooth = noise.unfold(0, 1 + number % 8, 1).mean(1)
        write_wav(
            folder / f"{number}.wav",
            torch.nn.functional.pad(smooth, (0, len(noise) - len(smooth))).numpy() / 10,
            RATE,
        )
    clips = tuple(Clip(f"{number}.wav", ("noise",), "test") for number in range(n_clips))
    return Manifest(folder, clips, ("noise",))


def measure(options: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """Seconds of each variant in each round, after one to warm up; checks that results agree."""
    device = torch.device(options.device)
    torch.manual_seed(0)
    encoder = AudioEncoder(LogMel(), Normalize(*STATISTICS), AudioNTT2022()).to(device)
    manifest = make_clips(folder, options.clips)
    variants = {PLAIN: plain_loop(encoder, manifest, options.batch, device)}
    for precision in OURS:
        if precision in options.variants:
            ours = our_extraction(encoder, manifest, options.batch, device, precision)
            variants[precision] = ours
    expected, seconds = None, {name: [] for name in variants}
    for _ in range(1 + options.rounds):
        for name, run in variants.items():
            start = time.perf_counter()
            found = run()
            seconds[name].append(time.perf_counter() - start)
            expected = found if expected is None else expected
            error = ((found - expected).norm() / expected.norm()).item()
            assert error < (0.02 if name == "bfloat16" else 1e-3), (name, error)
    return {name: values[1:] for name, values in seconds.items()}


def main() -> None:
    """Parse, measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--variants", nargs="+", default=[PLAIN, *OURS], choices=[PLAIN, *OURS])
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(options, Path(folder))
    kind = torch.device(options.device).type
    note = "computed by the hardware" if computes_bfloat16(kind) else "emulated"
    print(f"{options.clips} clips of {CLIP_S} s on {options.device}; bfloat16 is {note}")
    print(f"{'':24}{'clips/s':>9}{'ratio':>8}")
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(seconds[PLAIN], values, strict=True)]
        speed = options.clips / statistics.median(values)
        title = "plain loop, float32" if name == PLAIN else f"ours, {name}"
        print(f"{title:24}{speed:9.1f}{statistics.median(ratios):8.2f}")
    if options.json:
        options.json.write_text(json.dumps(seconds, indent=2) + "\n")


if __name__ == "__main__":
    main()
