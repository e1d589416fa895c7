"""What is wrong with Dagster's runs: some go on without a process, and hold slots of pools.

A run that is killed outright stays STARTED for ever and keeps its slot of the pool `gpu`, so that the next training
waits without end (dagster-io/dagster#28456). Dagster records which process wrote each event; a run whose executing
process is gone, on this host, is dead. Where hosts share an instance (Postgres), it does not record on which of them a
process is, so that only runs which Dagster itself takes for ended give their slots back.
"""

import time
from collections.abc import Iterator
from functools import partial

import psutil
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunRecord, RunsFilter
from dagster._core.storage.event_log.sqlite.consolidated_sqlite_event_log import ConsolidatedSqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from agri_assets.cli.doctor.finding import Finding

LAUNCHED = (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING)
GOING_ON = (*LAUNCHED, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING)

QUEUE_DAEMON = "QUEUED_RUN_COORDINATOR"


def run_findings(instance: DagsterInstance) -> list[Finding]:
    """Runs that go on by their status alone, and those that wait for a daemon that is not there."""
    records = instance.get_run_records(RunsFilter(statuses=list(GOING_ON)))
    if not is_local(instance):
        return _left_alone([record.dagster_run for record in records])
    found = []
    for record in records:
        one = record.dagster_run
        if reason := death_of(instance, record):
            told = f"run {_name(one)} is {one.status.value}, but {reason}"
            found.append(Finding(told, f"mark it as {_end_of(one)}", partial(end_run, instance, one.run_id)))
    return [*found, *_waiting(instance)]


def slot_findings(instance: DagsterInstance) -> list[Finding]:
    """Claimed slots of pools whose run has ended, is unknown, or has lost its process."""
    storage, found = instance.event_log_storage, []
    for pool in sorted(storage.get_concurrency_keys()):
        for claim in storage.get_concurrency_info(pool).claimed_slots:
            if reason := _release_of(instance, claim.run_id):
                told = f"a slot of pool {pool!r} is held by run {claim.run_id[:8]}, step {claim.step_key}; {reason}"
                found.append(Finding(told, "free it", partial(free_slots, instance, claim.run_id)))
    return found


def is_local(instance: DagsterInstance) -> bool:
    """Whether all runs of an instance are of this host: its storage is files, which no other host writes."""
    return isinstance(instance.event_log_storage, SqliteEventLogStorage | ConsolidatedSqliteEventLogStorage)


def death_of(instance: DagsterInstance, record: RunRecord) -> str | None:
    """Why a run of this host that has not ended is dead; None while its process lives, or may still be started."""
    made = next(_processes(instance, record.dagster_run), None)
    if made is None:
        limit, waited = instance.run_monitoring_start_timeout_seconds, time.time() - record.update_timestamp.timestamp()
        late = record.dagster_run.status in LAUNCHED and 0 < limit < waited
        return f"no process was started for it within {limit} s" if late else None
    pid, moment = made
    return None if _lives(pid, moment) else f"its process {pid} is gone"


def end_run(instance: DagsterInstance, run_id: str) -> str | None:
    """Mark a dead run as failed, or as canceled where that was asked for; what ended meanwhile stays as it is."""
    found = instance.get_run_by_id(run_id)
    if found is not None and not found.is_finished:
        report = instance.report_run_canceled if _end_of(found) == "canceled" else instance.report_run_failed
        report(found, message="agri-assets doctor: the run's process is gone")
    return None


def free_slots(instance: DagsterInstance, run_id: str) -> str | None:
    """Free all slots of a run."""
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return None


def _release_of(instance: DagsterInstance, run_id: str) -> str | None:
    """Why a run needs its slots no more; None where it may."""
    record = instance.get_run_record_by_id(run_id)
    if record is None:
        return "the run is unknown"
    if record.dagster_run.is_finished:
        return f"the run has ended ({record.dagster_run.status.value})"
    return death_of(instance, record) if is_local(instance) else None


def _processes(instance: DagsterInstance, one: DagsterRun) -> Iterator[tuple[int, float]]:
    """The process that executes a run, and when it was told of: by itself, or else by who started it."""
    for record in instance.get_records_for_run(one.run_id, of_type=DagsterEventType.RUN_START).records:
        event = record.event_log_entry.dagster_event
        if event and event.pid:
            yield event.pid, record.event_log_entry.timestamp
    for entry in instance.all_logs(one.run_id, of_type=DagsterEventType.ENGINE_EVENT):
        told = entry.dagster_event and entry.dagster_event.engine_event_data.metadata.get("pid")
        if told and str(told.value).isdecimal():
            yield int(str(told.value)), entry.timestamp


def _lives(pid: int, moment: float) -> bool:
    """Whether the process that had this number at a moment is still at work."""
    try:
        process = psutil.Process(pid)
        # a process younger than the event has only inherited the number
        return process.create_time() <= moment and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _waiting(instance: DagsterInstance) -> list[Finding]:
    """Runs in the queue, where nobody is there to start them."""
    from dagster._daemon.controller import get_daemon_statuses

    waiting = instance.get_runs_count(RunsFilter(statuses=[DagsterRunStatus.QUEUED]))
    if not waiting or get_daemon_statuses(instance, [QUEUE_DAEMON])[QUEUE_DAEMON].healthy is not False:
        return []
    return [
        Finding(
            f"{waiting} runs wait in the queue, and no daemon is at work", "start it: dagster dev -w workspace.yaml"
        )
    ]


def _left_alone(runs: list[DagsterRun]) -> list[Finding]:
    """Runs of an instance that other hosts share; which of them are dead is not known here."""
    if not runs:
        return []
    told = f"{len(runs)} runs go on in an instance that hosts share, which of them are dead is not known here"
    return [Finding(told, "end a dead one in the web UI (Runs, Terminate, force), then its slots are freed")]


def _end_of(one: DagsterRun) -> str:
    return "canceled" if one.status is DagsterRunStatus.CANCELING else "failed"


def _name(one: DagsterRun) -> str:
    """A run's number and what it makes, for people."""
    assets = sorted(key.to_user_string() for key in one.asset_selection or ())
    what = ", ".join(assets[:3]) + (" and others" if len(assets) > 3 else "")
    return f"{one.run_id[:8]} ({what or one.job_name})"
