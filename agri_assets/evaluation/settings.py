"""What a collection declares about its reports and its champion."""

from typing import Literal

from pydantic import Field

from agri_assets.settings import Settings


class EvaluationSettings(Settings):
    """How models are judged and compared.

    Attributes:
        threshold_rule: How the threshold is chosen on val.
        bootstrap: Resamplings behind each confidence interval.
        champion_metric: The test metric that decides the champion.
        champion_margin: A challenger must beat the previous champion by more than this.
        champion_minimum: No model with a lower metric becomes champion.
    """

    threshold_rule: Literal["f1", "youden"] = "f1"
    bootstrap: int = Field(default=1000, ge=100)
    champion_metric: Literal["roc_auc", "f1", "accuracy", "pr_auc"] = "roc_auc"
    champion_margin: float = Field(default=0.0, ge=0)
    champion_minimum: float = Field(default=0.6, ge=0, le=1)
