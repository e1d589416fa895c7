"""Which scenes a source's settings leave out: days and cloud cover."""

from datetime import date, datetime

from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.settings import FoundScenes, SceneSettings


def is_wanted(record: SceneRecord, settings: SceneSettings) -> bool:
    """Whether a scene is within the days and below the cloud cover that its source is limited to."""
    if not isinstance(settings, FoundScenes):
        return True
    return in_dates(record.acquired, settings.dates) and below_cloud(record.cloud_cover, settings.max_cloud)


def in_dates(acquired: datetime, dates: str | None) -> bool:
    """Whether a time (UTC) is on one of the days of `first/last`, both counted in."""
    if dates is None:
        return True
    first, last = (date.fromisoformat(day) for day in dates.split("/"))
    return first <= acquired.date() <= last


def below_cloud(cover: float | None, limit: float | None) -> bool:
    """Whether a stated cloud cover is within the limit; what is not stated is not held against a scene."""
    return limit is None or cover is None or cover <= limit
