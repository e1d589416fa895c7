"""Every error this project raises on purpose.

One base class, one kind per thing that can be wrong. A message is one line: what is wrong, where, and what to do. It
goes into logs, metadata and reports, and so holds no secret of any address that it names.
"""

from agri_assets.redact import redacted


class AgriAssetsError(Exception):
    """Base of all errors that a user can act on; commands print it as one line and exit with `exit_code`."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(redacted(message))


class ConfigError(AgriAssetsError, ValueError):
    """`collections.yaml` or an environment variable holds something we cannot use."""


def first_line(error: BaseException) -> str:
    """What another library's error says, for a message of one line; its kind where it says nothing."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


class SceneError(AgriAssetsError):
    """A product cannot be used: damaged, incomplete, of the wrong level, or contradicting itself."""

    exit_code = 2


class RemoteError(SceneError):
    """Something at another host could not be had after all retries.

    Attributes:
        transient: Whether the same request may work later (an overloaded or unreachable host), so that what was refused
            for it is tried again by itself; a missing file (404) is not.
    """

    def __init__(self, message: str, transient: bool = True) -> None:
        super().__init__(message)
        self.transient = transient


def is_transient(error: AgriAssetsError) -> bool:
    """Whether what was refused for this error may be there by itself the next time."""
    return isinstance(error, RemoteError) and error.transient


class LabelError(AgriAssetsError):
    """Land cover or class labels are missing, unreadable, or do not cover what they should."""


class ArchiveError(AgriAssetsError):
    """A labelled tile archive is broken: an unreadable image, an empty class, a list that names absent tiles."""


class CubeError(AgriAssetsError):
    """The tile cube is missing, misaligned, damaged, or not what its metadata says."""


class IdentityError(CubeError):
    """A collection's identity (bands, units, kind of source) was changed over existing data."""


class SplitError(AgriAssetsError):
    """The split cannot be made, or its proof of disjointness fails or is stale."""


class ModelError(AgriAssetsError):
    """A model, its weights or its contract do not fit what they are used with."""


class TrainingError(AgriAssetsError):
    """Training cannot start or cannot go on: no samples, a non-finite loss, a run folder in use."""


class EvaluationError(AgriAssetsError):
    """Predictions or reports are missing or do not belong together."""


class StoreError(AgriAssetsError):
    """The data root cannot be read or written as needed, or someone else holds its lock."""
