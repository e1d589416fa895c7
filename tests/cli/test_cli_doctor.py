"""The doctor: what dead runs left is found, told and mended; what living ones are at is left alone."""

import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType, EngineEventData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test

from agri_assets.cli.doctor import runs
from agri_assets.cli.doctor.runs import run_findings, slot_findings
from agri_assets.cli.main import main


@pytest.fixture
def instance(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AGRI_COLLECTIONS", str(tmp_path / "none.yaml"))
    with dg.DagsterInstance.get() as made:
        made.event_log_storage.set_concurrency_slots("gpu", 1)
        yield made


@pytest.fixture
def living():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate(b"\n")


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process.pid


def started(instance, pid: int) -> str:
    """A run that its process told of, and that holds a slot."""
    run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTING)
    event = DagsterEvent(DagsterEventType.RUN_START.value, job_name=run.job_name, pid=pid)
    instance.report_dagster_event(event, run.run_id)
    assert instance.event_log_storage.claim_concurrency_slot("gpu", run.run_id, "train").is_claimed
    return run.run_id


def launched(instance, pid: int) -> str:
    """A run that has not told of itself, only who started it."""
    run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTING)
    instance.report_engine_event("Started process", run, EngineEventData.in_process(pid))
    return run.run_id


def status(instance, run_id: str) -> dg.DagsterRunStatus:
    return instance.get_run_by_id(run_id).status


def test_a_dead_run_is_told_marked_as_failed_and_gives_its_slot_back(instance, capsys):
    run_id = started(instance, dead_pid())
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert f"run {run_id[:8]}" in told
    assert "is STARTED, but its process" in told
    assert "slot of pool 'gpu'" in told
    assert status(instance, run_id) is dg.DagsterRunStatus.FAILURE
    other = create_run_for_test(instance)
    assert instance.event_log_storage.claim_concurrency_slot("gpu", other.run_id, "train").is_claimed


def test_a_dry_run_only_tells(instance, capsys):
    run_id = started(instance, dead_pid())
    assert main(["doctor", "--dry-run"]) == 0
    assert "mark it as failed" in capsys.readouterr().out
    assert status(instance, run_id) is dg.DagsterRunStatus.STARTED
    assert len(slot_findings(instance)) == 1


@pytest.mark.parametrize(("answer", "wanted"), [("", "STARTED"), ("no", "STARTED"), ("y", "FAILURE")])
def test_a_person_is_asked(instance, monkeypatch, answer, wanted):
    run_id = started(instance, dead_pid())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert main(["doctor"]) == 0
    assert status(instance, run_id).value == wanted


def test_yes_asks_nobody(instance, monkeypatch):
    run_id = started(instance, dead_pid())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.delattr("builtins.input")
    assert main(["doctor", "--yes"]) == 0
    assert status(instance, run_id) is dg.DagsterRunStatus.FAILURE


def test_nothing_wrong_is_said(instance, living, capsys):
    run_id = started(instance, living)
    assert main(["doctor"]) == 0
    assert "Nothing is wrong" in capsys.readouterr().out
    assert status(instance, run_id) is dg.DagsterRunStatus.STARTED
    assert len(instance.event_log_storage.get_concurrency_info("gpu").claimed_slots) == 1


def test_a_process_that_may_be_of_another_host_is_not_judged(instance, monkeypatch, capsys):
    run_id = started(instance, dead_pid())
    monkeypatch.setattr(runs, "is_local", lambda _: False)
    assert main(["doctor"]) == 0
    assert "hosts share" in capsys.readouterr().out
    assert status(instance, run_id) is dg.DagsterRunStatus.STARTED
    assert slot_findings(instance) == []


def test_slot_of_a_finished_run_is_freed_whoever_shares_the_instance(instance, monkeypatch):
    run_id = started(instance, dead_pid())
    with instance.event_log_storage.index_connection():
        instance.run_storage.handle_run_event(
            run_id, DagsterEvent(DagsterEventType.RUN_FAILURE.value, job_name="any", pid=1)
        )
    monkeypatch.setattr(runs, "is_local", lambda _: False)
    (slot,) = slot_findings(instance)
    assert "has ended (FAILURE)" in slot.wrong
    slot.mend()
    assert slot_findings(instance) == []


def test_a_run_that_died_before_it_told_of_itself_is_found(instance, living):
    dead = launched(instance, dead_pid())
    launched(instance, living)
    (found,) = run_findings(instance)
    assert f"run {dead[:8]}" in found.wrong
    assert "is STARTING" in found.wrong


def test_a_run_that_nobody_started_is_given_the_time_that_dagster_gives_it(instance, monkeypatch):
    create_run_for_test(instance, status=dg.DagsterRunStatus.STARTING)
    assert run_findings(instance) == []
    limit = instance.run_monitoring_start_timeout_seconds
    now = runs.time.time
    monkeypatch.setattr(runs.time, "time", lambda: now() + limit + 1)
    (found,) = run_findings(instance)
    assert "no process was started" in found.wrong


def test_a_run_that_was_to_be_canceled_ends_as_canceled(instance):
    run_id = started(instance, dead_pid())
    instance.report_run_canceling(instance.get_run_by_id(run_id))
    (found,) = run_findings(instance)
    assert "mark it as canceled" in found.remedy
    found.mend()
    assert status(instance, run_id) is dg.DagsterRunStatus.CANCELED


def test_a_queue_that_nobody_serves_is_told(instance):
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("code"), "repository"), "job")
    run = create_run_for_test(instance, status=dg.DagsterRunStatus.QUEUED, remote_job_origin=origin)
    (found,) = run_findings(instance)
    assert "1 runs wait" in found.wrong
    assert found.mend is None
    assert status(instance, run.run_id) is dg.DagsterRunStatus.QUEUED
