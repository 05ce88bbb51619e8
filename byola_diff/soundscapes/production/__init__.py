"""Many items made in several processes, each with files that vouch for it, in one folder."""

from byola_diff.soundscapes.production.items import finish, finished
from byola_diff.soundscapes.production.output_folder import OutputFolder
from byola_diff.soundscapes.production.produce import ProductionResult, Refusal, produce

__all__ = ["OutputFolder", "ProductionResult", "Refusal", "finish", "finished", "produce"]
