"""Backgrounds for training items and others for test items, from whatever folders are given."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from byola_diff.audio.files import AudioFileError, read_audio
from byola_diff.corpora.layout import LayoutError
from byola_diff.randomness import derive_seed
from byola_diff.soundscapes.bgknown.plan import BgKnownOptions
from byola_diff.soundscapes.sources.library import Library, read_folder, read_fsd50k
from byola_diff.storage import sha256

_PARTS: tuple[str, str] = ("dev", "eval")
_DEV_SHARE = 0.6
"""How much of one folder is for training: as much as of ESC-50's items."""


def read_backgrounds(options: BgKnownOptions) -> tuple[dict[str, Library], list[str]]:
    """Usable recordings in the parts "dev" and "eval", and in what they are not those of FSD50K.

    Two folders are one for training and one for the test; one that is not laid out as FSD50K is
    divided by a hash of the seed and the names of its files. `LayoutError` is raised if a part has
    no readable audio to be used, or the same recording is in both.
    """
    folders, deviations = options.background, []
    if len(folders) == 2:
        libraries = dict(zip(_PARTS, map(read_folder, folders), strict=True))
        deviations.append("backgrounds: folders of recordings")
    elif (folders[0] / "FSD50K.ground_truth").is_dir():
        libraries = read_fsd50k(folders[0])
        _refuse_shared_names(libraries)
    else:
        libraries = _divided(read_folder(folders[0]), options.seed)
        deviations.append("backgrounds: one folder of recordings, divided by a hash of their names")
    libraries = {part: usable(library, options) for part, library in libraries.items()}
    _refuse_shared_content(libraries)
    return libraries, deviations


def usable(library: Library, options: BgKnownOptions) -> Library:
    """The recordings that are long enough and not of an excluded label; LayoutError if none is."""
    excluded, least_s = options.exclude_background_labels, options.window_s
    kept = [source for source in library.sources if source.label not in excluded]
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
    stem_of = {s.file: PurePosixPath(s.file).with_suffix("").as_posix() for s in library.sources}
    stems = sorted({*stem_of.values()}, key=lambda stem: derive_seed(seed, "background part", stem))
    if len(stems) < 2:
        raise LayoutError(f"{library.root} has one recording; training and test need one each")
    n_dev = min(max(1, round(_DEV_SHARE * len(stems))), len(stems) - 1)
    return {
        part: replace(library, sources=tuple(s for s in library.sources if stem_of[s.file] in own))
        for part, own in (("dev", {*stems[:n_dev]}), ("eval", {*stems[n_dev:]}))
    }


def _refuse_shared_names(libraries: Mapping[str, Library]) -> None:
    """Names in FSD50K are the numbers of Freesound recordings."""
    dev, held_out = ({Path(s.file).stem for s in libraries[part].sources} for part in _PARTS)
    if shared := sorted(dev & held_out):
        raise LayoutError(
            f"{libraries['dev'].root}: recording {shared[0]} is in the dev and in the eval part "
            f"({len(shared)} such): backgrounds of the test must be unknown in training"
        )


def _refuse_shared_content(libraries: Mapping[str, Library]) -> None:
    """The same bytes in both parts, under whatever names; silence can't be told apart."""
    paths = [[libraries[part].root / s.file for s in libraries[part].sources] for part in _PARTS]
    # Most files differ in size from all of the other part and need not be read.
    sizes = set.intersection(*({path.stat().st_size for path in part} for part in paths))
    dev, held_out = (
        {sha256(path): path for path in part if path.stat().st_size in sizes} for part in paths
    )
    twins = [(held_out[digest], dev[digest]) for digest in dev.keys() & held_out.keys()]
    if twins := sorted(both for both in twins if _audible(both[0])):
        path, twin = twins[0]
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
