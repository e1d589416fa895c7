"""What a check found: by a stage's recorded outcome, so that a run with nothing to do finds the same."""

import logging
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from agri_assets.store.receipt import Scalar

logger = logging.getLogger(__name__)


class Finding(BaseModel):
    """The result of one named check.

    Attributes:
        name: Of the check.
        passed: Whether all is well.
        found: What was found, in one line.
        todo: What to do about it; empty where it passed.
        figures: What it rests on.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    passed: bool
    found: str
    todo: str = ""
    figures: dict[str, Scalar] = Field(default_factory=dict)

    @classmethod
    def judged(cls, name: str, passed: bool, found: str, todo: str, **figures: Scalar) -> "Finding":
        """A finding that says what to do only where it did not pass."""
        return cls(name=name, passed=passed, found=found, todo="" if passed else todo, figures=figures)

    @classmethod
    def unknown(cls, name: str, what: str, todo: str) -> "Finding":
        """What it would rest on was not recorded, as by an older version."""
        return cls(name=name, passed=False, found=f"not known: {what}", todo=todo)


def tell(what: str, findings: Iterable[Finding]) -> None:
    """Log what did not pass, with what to do about it."""
    for finding in findings:
        if not finding.passed:
            logger.warning("%s: %s: %s; %s", what, finding.name, finding.found, finding.todo)
