"""The downstream tasks of the papers by name: what is known of each before its data are read.

Counts, lengths and metrics are those of the evaluation that the papers used (EVAR's `ds_tasks.py`
and metadata). Nothing is downloaded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from byola_diff.corpora.official_splits import (
    GTZAN_LISTS,
    esc50_clips,
    fsd50k_clips,
    gtzan_clips,
    nsynth_clips,
    spcv2_clips,
    us8k_clips,
    vc1_clips,
)
from byola_diff.corpora.own_splits import cremad_clips, surge_clips, voxforge_clips
from byola_diff.tables.manifest import Clip

Metric = Literal["accuracy", "mAP"]

OfficialClips = Callable[[Path], list[Clip]]
"""From the folder of the data to their clips, split as published."""


@dataclass(frozen=True, kw_only=True)
class OwnSplit:
    """For data that come without a split: by a file that the user has, or else by a seed."""

    clips: Callable[[Path, Path | None, int], list[Clip]]
    """From the folder of the data, that file and the seed to their clips."""
    counts: Mapping[str, int]
    """Number of clips where we split by the seed; what can't be known is left out."""
    file: str
    """Which file of the user's replaces our split."""


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A downstream task of the papers."""

    name: str
    title: str
    """Data set, authors and year."""
    unit_s: float
    """Clips are cut or padded to this length."""
    metric: Metric
    counts: Mapping[str, int]
    """Published number of clips by split or "fold K", and of "classes"."""
    clips: OfficialClips | OwnSplit
    layout: str
    """What the folder must hold."""
    where: str
    """Where the data are published."""
    licence: str
    """Licence of the data, in a line."""


_US8K_FOLDS = (873, 888, 925, 990, 936, 823, 838, 806, 816, 837)

_SPECS = (
    TaskSpec(
        name="esc50",
        title="ESC-50 (Piczak, 2015)",
        unit_s=5.0,
        metric="accuracy",
        counts={f"fold {k}": 400 for k in range(1, 6)} | {"classes": 50},
        clips=esc50_clips,
        layout="meta/esc50.csv and audio/",
        where="https://github.com/karolpiczak/ESC-50",
        licence="CC BY-NC 3.0",
    ),
    TaskSpec(
        name="us8k",
        title="UrbanSound8K (Salamon et al., 2014)",
        unit_s=4.0,
        metric="accuracy",
        counts={f"fold {k}": n for k, n in enumerate(_US8K_FOLDS, start=1)} | {"classes": 10},
        clips=us8k_clips,
        layout="metadata/UrbanSound8K.csv and audio/fold1 to fold10",
        where="https://urbansounddataset.weebly.com/urbansound8k.html",
        licence="CC BY-NC 3.0",
    ),
    TaskSpec(
        name="fsd50k",
        title="FSD50K (Fonseca et al., 2022)",
        unit_s=7.6358,
        metric="mAP",
        counts={"train": 36_796, "valid": 4_170, "test": 10_231, "classes": 200},
        clips=fsd50k_clips,
        layout="FSD50K.ground_truth/dev.csv and eval.csv, FSD50K.dev_audio/, FSD50K.eval_audio/",
        where="https://zenodo.org/record/4060432",
        licence="CC BY 4.0 as a whole; each clip CC0, CC BY, CC BY-NC or CC Sampling+",
    ),
    TaskSpec(
        name="spcv2",
        title="Speech Commands v0.02 (Warden, 2018)",
        unit_s=1.0,
        metric="accuracy",
        counts={"train": 84_843, "valid": 9_981, "test": 11_005, "classes": 35},
        clips=spcv2_clips,
        layout="a folder per word, validation_list.txt and testing_list.txt",
        where="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        licence="CC BY 4.0",
    ),
    TaskSpec(
        name="vc1",
        title="VoxCeleb1, speaker identification (Nagrani et al., 2017)",
        unit_s=8.2,
        metric="accuracy",
        counts={"train": 138_361, "valid": 6_904, "test": 8_251, "classes": 1251},
        clips=vc1_clips,
        layout="wav/id10001/... from the development and the test archive, and iden_split.txt",
        where="https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox1.html",
        licence="annotations under Creative Commons, see the source; recordings of their owners",
    ),
    TaskSpec(
        name="voxforge",
        title="VoxForge, spoken language (MacLean, 2018)",
        unit_s=5.8,
        metric="accuracy",
        counts={"classes": 6},
        clips=OwnSplit(
            clips=voxforge_clips,
            counts={"classes": 6},
            file="columns file_name, label, split, such as EVAR's voxforge.csv",
        ),
        layout="extracted archives by language, such as de/SPEAKER-20080721-xyz/wav/de1.wav, with "
        "de, en, es, fr, it and ru",
        where="http://www.voxforge.org (URLs are listed by TensorFlow Datasets, voxforge)",
        licence="GPL 3.0",
    ),
    TaskSpec(
        name="cremad",
        title="CREMA-D (Cao et al., 2014)",
        unit_s=2.5,
        metric="accuracy",
        counts={"train": 5155, "valid": 732, "test": 1551, "classes": 6},
        clips=OwnSplit(
            clips=cremad_clips,
            counts={"clips": 7442, "classes": 6},
            file="columns file_name and split, such as EVAR's cremad.csv",
        ),
        layout="AudioWAV/ with files such as 1001_DFA_ANG_XX.wav",
        where="https://github.com/CheyneyComputerScience/CREMA-D",
        licence="Open Database License 1.0",
    ),
    TaskSpec(
        name="gtzan",
        title="GTZAN (Tzanetakis and Cook, 2002), fault-filtered (Kereliuk et al., 2015)",
        unit_s=30.0,
        metric="accuracy",
        counts={"train": 443, "valid": 197, "test": 290, "classes": 10},
        clips=gtzan_clips,
        layout=f"genres/blues/blues.00000.wav (or .au) and so on, and beside genres the lists "
        f"train_filtered.txt, valid_filtered.txt and test_filtered.txt of {GTZAN_LISTS}",
        where="http://marsyas.info/downloads/datasets.html",
        licence="none stated; research only",
    ),
    TaskSpec(
        name="nsynth",
        title="NSynth, instrument family (Engel et al., 2017)",
        unit_s=4.0,
        metric="accuracy",
        counts={"train": 289_205, "valid": 12_678, "test": 4_096, "classes": 11},
        clips=nsynth_clips,
        layout="nsynth-train, nsynth-valid and nsynth-test, each with audio/ and examples.json",
        where="https://magenta.tensorflow.org/datasets/nsynth",
        licence="CC BY 4.0",
    ),
    TaskSpec(
        name="surge",
        title="Surge synthesiser, pitch (Turian et al., 2021)",
        unit_s=4.0,
        metric="accuracy",
        counts={"train": 148_896, "valid": 17_160, "test": 17_336, "classes": 88},
        clips=OwnSplit(
            clips=surge_clips,
            counts={"train": 148_896, "valid": 17_160, "test": 17_336, "classes": 88},
            file="two columns, tone and split, such as EVAR's dataset_surge_tone_splits.csv",
        ),
        layout="a folder per tone with a file per note, such as TONE/60.ogg",
        where="https://zenodo.org/record/4677097",
        licence="see the source",
    ),
)

TASKS = {spec.name: spec for spec in _SPECS}
