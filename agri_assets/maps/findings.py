"""What the checks of a land map find."""

from agri_assets.config import Collection
from agri_assets.models.contract import ModelContract
from agri_assets.splits.band_shift import Training, find_shift
from agri_assets.store.finding import Finding
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome


def map_findings(collection: Collection, paths: CollectionPaths, outcome: Outcome) -> tuple[Finding, ...]:
    """`band_histograms`: whether the mapped dates are like what the model was trained on.

    Args:
        collection: The collection.
        paths: Where it lies.
        outcome: That of the map, from now or from before.
    """
    model, run = (str(outcome.metadata[name]) for name in ("model", "run"))
    contract = ModelContract.load(paths.model_run(model, run))
    dates = str(outcome.metadata["dates"]).split(", ")
    return (
        find_shift(
            collection, paths.cube(outcome.path.stem), Training(contract.bands, contract.mean, contract.std), dates
        ),
    )
