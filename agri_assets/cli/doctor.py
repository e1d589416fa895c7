"""`agri-assets doctor`: finds pool slots that dead runs still hold, and frees them.

A run that is killed outright stays STARTED for ever and keeps its slot of the pool `gpu`, so that the next training
waits without end (dagster-io/dagster#28456). Dagster records which process wrote each event; a run whose executing
process is gone, on this host, is dead. Where hosts share an instance (Postgres), it does not record on which of them a
process is, so that only runs which Dagster itself takes for ended give their slots back.
"""

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agri_assets.errors import StoreError, first_line

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

HELP = "find and free pool slots held by dead runs"


@dataclass(frozen=True)
class HeldSlot:
    """A pool slot and why its run no longer needs it.

    Attributes:
        pool: Name of the pool.
        run_id: The run that holds the slot.
        step: The step that holds it.
        reason: Why the run is taken for dead.
        unfinished: Whether Dagster still believes that the run goes on.
    """

    pool: str
    run_id: str
    step: str
    reason: str
    unfinished: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def run(args: argparse.Namespace) -> int:
    """Report held slots and free those of dead runs."""
    from dagster import DagsterInstance

    with _open_instance(DagsterInstance) as instance:
        slots = find_dead_slots(instance)
        if not is_local(instance):
            print("Hosts share this instance: runs that go on are left alone; end a dead one in the web UI.")
        if not slots:
            print("No pool slot is held by a dead run.")
        for slot in slots:
            action = "would free" if args.dry_run else "freeing"
            print(f"{action} a slot of pool {slot.pool!r}: run {slot.run_id[:8]}, step {slot.step}: {slot.reason}")
        if not args.dry_run:
            for run_id in dict.fromkeys(slot.run_id for slot in slots):
                free_slots(instance, run_id)
    return 0


def find_dead_slots(instance: "DagsterInstance") -> list[HeldSlot]:
    """Every claimed pool slot whose run has ended, is unknown, or has lost its process."""
    storage = instance.event_log_storage
    found = []
    for pool in sorted(storage.get_concurrency_keys()):
        for claim in storage.get_concurrency_info(pool).claimed_slots:
            dagster_run = instance.get_run_by_id(claim.run_id)
            reason = "the run is unknown" if dagster_run is None else death_of(instance, dagster_run)
            if reason is not None:
                unfinished = dagster_run is not None and not dagster_run.is_finished
                found.append(HeldSlot(pool, claim.run_id, claim.step_key, reason, unfinished))
    return found


def is_local(instance: "DagsterInstance") -> bool:
    """Whether all runs of an instance are of this host: its storage is files, which no other host writes."""
    from dagster._core.storage.event_log.sqlite.consolidated_sqlite_event_log import ConsolidatedSqliteEventLogStorage
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

    return isinstance(instance.event_log_storage, SqliteEventLogStorage | ConsolidatedSqliteEventLogStorage)


def death_of(instance: "DagsterInstance", dagster_run: "DagsterRun") -> str | None:
    """Why a run is dead; None while its process lives or where that cannot be known."""
    import psutil
    from dagster import DagsterEventType

    if dagster_run.is_finished:
        return f"the run has ended ({dagster_run.status.value})"
    if not is_local(instance):
        return None
    records = instance.get_records_for_run(dagster_run.run_id, of_type=DagsterEventType.RUN_START).records
    if not records:
        return None
    entry = records[0].event_log_entry
    pid = entry.dagster_event.pid if entry.dagster_event else None
    if pid is None:
        return None
    try:
        # a process younger than the event has only inherited the number
        alive = psutil.Process(pid).create_time() <= entry.timestamp
    except psutil.NoSuchProcess:
        alive = False
    return None if alive else f"its process {pid} is gone"


def free_slots(instance: "DagsterInstance", run_id: str) -> None:
    """Mark a dead run as failed where Dagster believes it goes on, and free all its slots."""
    dagster_run = instance.get_run_by_id(run_id)
    if dagster_run is not None and not dagster_run.is_finished:
        instance.report_run_failed(dagster_run, message="agri-assets doctor: the run's process is gone")
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def _open_instance(kind: "type[DagsterInstance]") -> "DagsterInstance":
    from dagster import DagsterError

    try:
        return kind.get()
    except DagsterError as error:
        raise StoreError(
            f"cannot open the Dagster instance; export DAGSTER_HOME=/absolute/path ({first_line(error)})"
        ) from None
