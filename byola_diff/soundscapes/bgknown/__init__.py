"""Background-known ESC-50: events in backgrounds, each with three references of its background."""

from byola_diff.soundscapes.bgknown.corpus import make_bgknown, plan_bgknown
from byola_diff.soundscapes.bgknown.plan import PART_OF_SPLIT, SPLIT_OF_FOLD, BgKnownSettings

__all__ = ["PART_OF_SPLIT", "SPLIT_OF_FOLD", "BgKnownSettings", "make_bgknown", "plan_bgknown"]
