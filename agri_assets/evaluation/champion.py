"""The champion's rule: when the pointer to the model in use may move."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from agri_assets.errors import EvaluationError
from agri_assets.evaluation.records import Metrics
from agri_assets.evaluation.settings import EvaluationSettings
from agri_assets.store.commit import read_json
from agri_assets.store.layout import CollectionPaths


class Champion(BaseModel):
    """`champion.json`: the model in use.

    Attributes:
        model: Name of the model.
        run: Its training run.
        report: The report that the value comes from.
        metric: What it was judged by.
        value: That metric on test.
        threshold: From this probability on, a sample is called agricultural.
        temperature: What the model's logits are divided by before.
        split_fingerprint: The split it was judged on.
        decided: When it became champion (ISO 8601, UTC).
    """

    model_config = ConfigDict(frozen=True)

    model: str
    run: str
    report: str
    metric: str
    value: float
    threshold: float
    temperature: float = 1.0
    split_fingerprint: str
    decided: str


class Decision(BaseModel):
    """What the rule says.

    Attributes:
        champion: Who is in use from now on; None if nobody is good enough yet.
        moved: Whether that is another run than before.
        reason: One sentence.
        warning: Set where a newer or better-looking model does not take over.
    """

    model_config = ConfigDict(frozen=True)

    champion: Champion | None
    moved: bool
    reason: str
    warning: str | None = None


def read_champion(paths: CollectionPaths) -> Champion | None:
    """The present champion; None where there is none.

    Raises:
        EvaluationError: The pointer is damaged.
    """
    if not paths.champion.exists():
        return None
    try:
        return Champion.model_validate(read_json(paths.champion))
    except ValidationError:
        raise EvaluationError(
            f"{paths.champion}: not a champion pointer; delete it and compare the models again"
        ) from None


def decide(
    candidates: Sequence[Metrics], previous: Champion | None, settings: EvaluationSettings, now: str
) -> Decision:
    """Who is champion.

    Of the candidates whose calibration error is at most `champion_ece`, the best by `champion_metric` takes over if it
    reaches `champion_minimum` and, where a champion was decided on the same split by the same metric, beats that one by
    more than `champion_margin`.

    Args:
        candidates: Metrics of every compared model, all on one split.
        previous: The present champion if its run still exists.
        settings: The rule.
        now: Time of the decision.
    """
    trusted = [one for one in candidates if (one.ece or 0.0) <= settings.champion_ece]
    if not trusted:
        return _nobody(f"no model has a calibration error of {settings.champion_ece:g} or less", previous)
    decision = _judged(trusted, previous, settings, now)
    left_out = [_left_out(one, settings) for one in candidates if one not in trusted]
    return decision.model_copy(update={"warning": "; ".join(filter(None, (decision.warning, *left_out))) or None})


def _left_out(one: Metrics, settings: EvaluationSettings) -> str:
    return (
        f"{one.model} run {one.run} ({settings.champion_metric} {_value(one, settings):.4f}) is left out: its "
        f"calibration error {one.ece:.3f} is above champion_ece {settings.champion_ece:g}"
    )


def _best(candidates: Sequence[Metrics], settings: EvaluationSettings) -> Metrics:
    """The first of the best by the deciding figure."""
    return max(candidates, key=lambda one: _value(one, settings))


def _nobody(why: str, previous: Champion | None) -> Decision:
    stays = f"{previous.model} stays champion" if previous else "there is no champion"
    return Decision(champion=previous, moved=False, reason=why, warning=f"{why}: {stays}")


def _judged(
    candidates: Sequence[Metrics], previous: Champion | None, settings: EvaluationSettings, now: str
) -> Decision:
    """The decision among those whose probabilities can be trusted."""
    best, metric = _best(candidates, settings), settings.champion_metric
    value = _value(best, settings)
    if value < settings.champion_minimum:
        return _nobody(
            f"no model reaches {metric} {settings.champion_minimum:g}; the best, {best.model}, has {max(value, 0):.4f}",
            previous,
        )
    if previous is None or previous.split_fingerprint != best.split_fingerprint or previous.metric != metric:
        why = "first champion" if previous is None else "decided afresh, since the split or the metric changed"
        return Decision(
            champion=_crown(best, settings, now), moved=True, reason=f"{why}: {best.model} {metric} {value:.4f}"
        )
    return _challenge(best, _refreshed(previous, candidates, settings), settings, now)


def _challenge(best: Metrics, incumbent: Champion, settings: EvaluationSettings, now: str) -> Decision:
    metric, value = settings.champion_metric, _value(best, settings)
    figures = f"{metric} {value:.4f} against {incumbent.value:.4f}"
    if best.run == incumbent.run:
        return Decision(champion=incumbent, moved=False, reason=f"{best.model} is still the best: {metric} {value:.4f}")
    if value > incumbent.value + settings.champion_margin:
        reason = f"{best.model} takes over from {incumbent.model}: {figures}"
        return Decision(champion=_crown(best, settings, now), moved=True, reason=reason)
    reason = f"{best.model} run {best.run} does not beat the champion {incumbent.model} run {incumbent.run}: {figures}"
    warning = f"{reason} (margin {settings.champion_margin:g}); the champion stays"
    return Decision(champion=incumbent, moved=False, reason=reason, warning=warning)


def _refreshed(previous: Champion, candidates: Sequence[Metrics], settings: EvaluationSettings) -> Champion:
    """The champion with the figures of its present report, where its run was reported again."""
    for one in candidates:
        if (one.model, one.run) == (previous.model, previous.run):
            return _crown(one, settings, previous.decided)
    return previous


def _crown(metrics: Metrics, settings: EvaluationSettings, now: str) -> Champion:
    return Champion(
        model=metrics.model,
        run=metrics.run,
        report=metrics.report,
        metric=settings.champion_metric,
        value=_value(metrics, settings),
        threshold=metrics.threshold,
        temperature=metrics.temperature,
        split_fingerprint=metrics.split_fingerprint,
        decided=now,
    )


def _value(metrics: Metrics, settings: EvaluationSettings) -> float:
    """The deciding figure; an undefined one loses to any other."""
    value = metrics.value(settings.champion_metric)
    return -1.0 if value is None else value
