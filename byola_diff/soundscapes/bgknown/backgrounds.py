"""Backgrounds for training items and others for test items, from whatever folders are given."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from byola_diff.audio.files import AudioFileError, read_audio
from byola_diff.corpora.layout import LayoutError
from byola_diff.randomness import derive_seed
from byola_diff.soundscapes.sources.library import Library, read_folder, read_fsd50k
from byola_diff.storage import sha256

_PARTS: tuple[str, str] = ("dev", "eval")
_DEV_SHARE = 0.6
"""How much of one folder is for training: as much as of ESC-50's items."""


def read_backgrounds(
    folders: Sequence[Path],
    seed: int,
    least_s: float = 0.0,
    excluded_labels: Collection[str] = (),
) -> tuple[dict[str, Library], tuple[str, ...]]:
    """Libraries "dev" and "eval", and in what they are not those of FSD50K.

    Args:
        folders: The official layout of FSD50K; or a folder for training and one for the test; or
            one folder, whose files are divided by a hash of seed and name.
        seed: Decides that division.
        least_s: What is shorter is not used, and may thus be in both parts.
        excluded_labels: Nor are these used.

    Raises:
        LayoutError: If a part has no readable audio to be used, or the same recording is in both.
    """
    if len(folders) == 2:
        libraries = dict(zip(_PARTS, map(read_folder, folders), strict=True))
        deviation = "backgrounds: folders of recordings"
    elif (folders[0] / "FSD50K.ground_truth").is_dir():
        libraries, deviation = read_fsd50k(folders[0]), None
        _refuse_shared_names(libraries)
    else:
        libraries = _divided(read_folder(folders[0]), seed)
        deviation = "backgrounds: one folder of recordings, divided by a hash of their names"
    _refuse_shared_content(
        {part: usable(one, least_s, excluded_labels) for part, one in libraries.items()}
    )
    return libraries, (deviation,) if deviation else ()


def usable(library: Library, least_s: float, excluded_labels: Collection[str] = ()) -> Library:
    """The recordings that are long enough and not of an excluded label; LayoutError if none is."""
    kept = [source for source in library.sources if source.label not in excluded_labels]
    long_enough = tuple(source for source in kept if source.duration_s >= least_s)
    if not long_enough:
        longest_s = max((source.duration_s for source in kept), default=0.0)
        raise LayoutError(
            f"{library.root}: none of {len(kept)} backgrounds is {least_s:g} s long, which a "
            f"mixture and its references need; the longest has {longest_s:.2f} s"
        )
    return replace(library, sources=long_enough)


def _divided(library: Library, seed: int) -> dict[str, Library]:
    """Two libraries of one folder. Files of one name in several formats stay together."""

    def rank(stem: str) -> int:
        return derive_seed(seed, "background part", stem)

    stems = sorted({_stem(source.file) for source in library.sources}, key=rank)
    if len(stems) < 2:
        raise LayoutError(f"{library.root} has one recording; training and test need one each")
    n_dev = min(max(1, round(_DEV_SHARE * len(stems))), len(stems) - 1)
    return {
        part: replace(library, sources=tuple(s for s in library.sources if _stem(s.file) in own))
        for part, own in (("dev", set(stems[:n_dev])), ("eval", set(stems[n_dev:])))
    }


def _stem(file: str) -> str:
    return PurePosixPath(file).with_suffix("").as_posix()


def _refuse_shared_names(libraries: Mapping[str, Library]) -> None:
    """Names in FSD50K are the numbers of Freesound recordings."""
    names = [{Path(s.file).stem for s in libraries[part].sources} for part in _PARTS]
    if shared := sorted(names[0] & names[1]):
        raise LayoutError(
            f"{libraries['dev'].root}: recording {shared[0]} is in the dev and in the eval part "
            f"({len(shared)} such): backgrounds of the test must be unknown in training"
        )


def _refuse_shared_content(libraries: Mapping[str, Library]) -> None:
    """The same bytes in both parts, under whatever names; silence can't be told apart."""
    by_size: dict[int, dict[str, list[Path]]] = defaultdict(lambda: {"dev": [], "eval": []})
    for part in _PARTS:
        for source in libraries[part].sources:
            path = libraries[part].root / source.file
            by_size[path.stat().st_size][part].append(path)
    twins = []
    for paths in by_size.values():
        # Most files differ in size from all of the other part and need not be read.
        if paths["dev"] and paths["eval"]:
            dev = {sha256(path): path for path in paths["dev"]}
            both = [(path, dev.get(sha256(path))) for path in paths["eval"]]
            twins += [(path, twin) for path, twin in both if twin is not None and _audible(path)]
    if twins:
        path, twin = min(twins)
        raise LayoutError(
            f"{path} is the same recording as {twin} ({len(twins)} such): backgrounds of the test "
            "must be unknown in training; remove one of each two"
        )


def _audible(path: Path) -> bool:
    """Whether items can be made of a recording: of others, none is."""
    try:
        return bool(read_audio(path)[0].any())
    except AudioFileError:
        return False
