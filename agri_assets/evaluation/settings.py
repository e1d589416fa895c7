"""What a collection declares about its reports and its champion."""

from typing import Literal

from pydantic import Field

from agri_assets.settings import Settings

Figure = Literal["accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc"]


class EvaluationSettings(Settings):
    """How models are judged and compared.

    Attributes:
        threshold_rule: How the threshold is chosen on val: the highest F1, Youden's index, or the highest precision at
            `wanted_recall`.
        wanted_recall: Share of agricultural samples of val that the rule `recall` wants to find.
        temperature: Scale probabilities by a temperature found on val, if that helps there.
        ambiguous: Also score the samples on test's ground whose label is ambiguous, by what most of each is.
        bootstrap: Resamplings of ground cells behind the comparison of two models.
        references: Published figures to stand beside ours in the comparison, by name; whatever data they are from.
        champion_metric: The test metric that decides the champion.
        champion_margin: A challenger must beat the previous champion by more than this.
        champion_minimum: No model with a lower metric becomes champion.
        champion_ece: No model with a larger calibration error becomes champion.
    """

    threshold_rule: Literal["f1", "youden", "recall"] = "f1"
    wanted_recall: float = Field(default=0.999, gt=0, le=1)
    temperature: bool = True
    ambiguous: bool = True
    bootstrap: int = Field(default=1000, ge=100)
    references: dict[str, dict[Figure, float]] = Field(default_factory=dict)
    champion_metric: Literal["roc_auc", "f1", "accuracy", "pr_auc"] = "roc_auc"
    champion_margin: float = Field(default=0.0, ge=0)
    champion_minimum: float = Field(default=0.6, ge=0, le=1)
    champion_ece: float = Field(default=0.25, gt=0, le=1)
