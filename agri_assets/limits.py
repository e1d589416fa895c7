"""From where on a check of a collection warns."""

from pydantic import Field

from agri_assets.settings import Settings


class Limits(Settings):
    """Limits of the warning checks. They decide what is said and nothing that is made, so they can be changed freely.

    Attributes:
        clear_fraction: Least share of clear ground of a tile, over all its dates.
        class_balance: Least share of the rarer class in train, val and test.
        class_drift: Largest difference between the share of agricultural samples in one tile, month or split and that
            in all samples.
        band_shift: Largest distance of a date's mean from that of the train split, in its standard deviations.
        calibration: Largest calibration error of a model on test.
        data_wait: Largest share of its time that a training waits for data.
    """

    clear_fraction: float = Field(default=0.3, ge=0, le=1)
    class_balance: float = Field(default=0.1, ge=0, le=0.5)
    class_drift: float = Field(default=0.4, gt=0, le=1)
    band_shift: float = Field(default=1.5, gt=0)
    calibration: float = Field(default=0.1, gt=0, le=1)
    data_wait: float = Field(default=0.05, gt=0, le=1)
