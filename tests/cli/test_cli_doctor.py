"""The doctor: slots of dead runs are found and freed, slots of living ones are left alone."""

import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.test_utils import create_run_for_test

from agri_assets.cli.doctor import find_dead_slots, free_slots


@pytest.fixture
def instance(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        made.event_log_storage.set_concurrency_slots("gpu", 1)
        yield made


def claim(instance, pid: int) -> str:
    run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTING)
    event = DagsterEvent(DagsterEventType.RUN_START.value, job_name=run.job_name, pid=pid)
    instance.report_dagster_event(event, run.run_id)
    assert instance.event_log_storage.claim_concurrency_slot("gpu", run.run_id, "train").is_claimed
    return run.run_id


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process.pid


def test_slot_of_a_dead_run_is_found_and_freed(instance):
    run_id = claim(instance, dead_pid())
    (slot,) = find_dead_slots(instance)
    assert (slot.pool, slot.run_id, slot.step, slot.unfinished) == ("gpu", run_id, "train", True)
    free_slots(instance, run_id)
    assert find_dead_slots(instance) == []
    assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.FAILURE
    other = create_run_for_test(instance)
    assert instance.event_log_storage.claim_concurrency_slot("gpu", other.run_id, "train").is_claimed


def test_a_process_that_may_be_of_another_host_is_not_judged(instance, monkeypatch):
    claim(instance, dead_pid())
    monkeypatch.setattr("agri_assets.cli.doctor.is_local", lambda _: False)
    assert find_dead_slots(instance) == []


def test_slot_of_a_living_run_is_left_alone(instance):
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        claim(instance, living.pid)
        assert find_dead_slots(instance) == []
    finally:
        living.communicate(b"\n")


def test_slot_of_a_finished_run_is_found(instance):
    run_id = claim(instance, dead_pid())
    instance.report_run_canceled(instance.get_run_by_id(run_id))
    claimed = instance.event_log_storage.get_concurrency_info("gpu").claimed_slots
    if claimed:
        (slot,) = find_dead_slots(instance)
        assert "ended" in slot.reason
        assert not slot.unfinished
