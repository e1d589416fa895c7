"""What a collection declares about its split."""

from typing import Literal

from pydantic import Field, model_validator

from agri_assets.settings import Settings

Role = Literal["train", "val", "test"]
ROLES: tuple[Role, ...] = ("train", "val", "test")
PAIRS: tuple[tuple[Role, Role], ...] = (("train", "val"), ("train", "test"), ("val", "test"))


ODD = 1.75
"""Of two samples that come too near, one this many times as large gives way to the other, whatever their splits.

Else one odd outline would cost another split all the samples around it. The figure stands between ratios that pixel
sizes have, such as 15 m to 10 m and 20 m to 10 m, so that rounding does not decide.
"""


class SplitSettings(Settings):
    """How samples are assigned to train, val and test.

    Attributes:
        resolution: H3 resolution of the ground cells (6: about 36 km2, edge about 3.7 km).
        val: Share of cells (or of the archive's train part) for validation.
        test: The same for test.
        seed: Salt of the hash that assigns a cell.
        min_cells: A split with fewer ground cells is refused.
        min_valid: Samples with a smaller valid fraction are left out.
        min_clear: Samples with a smaller clear fraction are left out.
    """

    resolution: int = Field(default=6, ge=0, le=15)
    val: float = Field(default=0.15, gt=0, lt=1)
    test: float = Field(default=0.15, gt=0, lt=1)
    seed: int = 0
    min_cells: int = Field(default=2, ge=1)
    min_valid: float = Field(default=0.95, ge=0, le=1)
    min_clear: float = Field(default=0.8, ge=0, le=1)

    @model_validator(mode="after")
    def _leaves_train(self) -> "SplitSettings":
        if self.val + self.test >= 1:
            raise ValueError(f"val ({self.val}) and test ({self.test}) leave nothing for train")
        return self
