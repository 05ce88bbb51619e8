"""Tables of clips and of pairs of clips, and the audio that their rows name."""

from byola_diff.tables.manifest import Clip, Manifest, ManifestError, read_manifest, write_manifest
from byola_diff.tables.pairs import Pair, PairError, PairTable, read_pairs, write_pairs
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import UnreadableClipsError, read_clip
from byola_diff.tables.rows import SPLITS

__all__ = [
    "SPLITS",
    "Clip",
    "Manifest",
    "ManifestError",
    "Pair",
    "PairError",
    "PairTable",
    "Preprocessing",
    "UnreadableClipsError",
    "read_clip",
    "read_manifest",
    "read_pairs",
    "write_manifest",
    "write_pairs",
]
