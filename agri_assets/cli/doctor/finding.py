"""One thing that is wrong."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What is wrong, and what is done about it.

    Attributes:
        wrong: What is wrong.
        remedy: What will be done, or what a person is to do.
        mend: Does it, and returns why it could not be done, or nothing; None where a person has to.
    """

    wrong: str
    remedy: str
    mend: Callable[[], str | None] | None = None

    def __str__(self) -> str:
        return f"{self.wrong}: {self.remedy}"
