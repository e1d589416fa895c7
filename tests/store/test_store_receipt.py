from pathlib import Path

import pytest
from pydantic import BaseModel

from agri_assets.errors import StoreError
from agri_assets.store.fingerprint import file_digest, file_stamp, fingerprint, run_name
from agri_assets.store.receipt import Outcome, find_outcome, read_outcome, run_stage


class _Settings(BaseModel):
    rate: float = 0.1


class _Stage:
    """A stage that counts how often it works."""

    def __init__(self, folder: Path):
        self.receipt, self.output, self.runs = folder / "receipts" / "stage.json", folder / "out.txt", 0

    def run(self, version: str) -> Outcome:
        return run_stage(self.receipt, version, lambda: self._work(version), "stage")

    def _work(self, version: str) -> Outcome:
        self.runs += 1
        self.output.write_text(version)
        return Outcome(
            path=self.output, fingerprint=version, data_version=f"data {version}", summary="done", metadata={"n": 1}
        )


def test_work_is_done_once_for_a_fingerprint(tmp_path):
    stage = _Stage(tmp_path)
    first, second = stage.run("a"), stage.run("a")
    assert stage.runs == 1
    assert not first.reused
    assert second.reused
    assert second.model_copy(update={"reused": False}) == first


def test_another_fingerprint_is_work(tmp_path):
    stage = _Stage(tmp_path)
    stage.run("a")
    assert stage.run("b").data_version == "data b"
    assert stage.run("a").data_version == "data a"
    assert stage.runs == 3


def test_a_lost_output_is_work(tmp_path):
    stage = _Stage(tmp_path)
    stage.run("a")
    stage.output.unlink()
    assert not stage.run("a").reused
    assert stage.output.exists()


def test_work_can_be_asked_for_again(tmp_path):
    stage = _Stage(tmp_path)
    stage.run("a")
    again = run_stage(stage.receipt, "a", lambda: stage._work("a"), "stage", again=True)
    assert (stage.runs, again.reused) == (2, False)


def test_what_is_not_settled_is_done_again(tmp_path):
    stage = _Stage(tmp_path)

    def unsettled() -> Outcome:
        return stage._work("a").model_copy(update={"settled": False})

    run_stage(stage.receipt, "a", unsettled, "stage")
    assert read_outcome(stage.receipt).data_version == "data a"
    assert not stage.run("a").reused
    assert stage.run("a").reused


def test_failed_work_leaves_no_receipt(tmp_path):
    def fail() -> Outcome:
        raise RuntimeError

    receipt = tmp_path / "stage.json"
    with pytest.raises(RuntimeError):
        run_stage(receipt, "a", fail, "stage")
    assert find_outcome(receipt, "a") is None


def test_a_spoilt_receipt_is_told(tmp_path):
    receipt = tmp_path / "stage.json"
    with pytest.raises(StoreError, match="no such file"):
        read_outcome(receipt)
    receipt.write_text('{"path": 3}')
    with pytest.raises(StoreError, match="not a receipt"):
        read_outcome(receipt)


def test_fingerprints_are_of_values_not_of_order():
    one = fingerprint(a=1, b={"x": (1, 2), "y": Path("p")}, c=_Settings())
    assert one == fingerprint(c={"rate": 0.1}, b={"y": "p", "x": [1, 2]}, a=1)
    assert one != fingerprint(a=2, b={"x": (1, 2), "y": Path("p")}, c=_Settings())
    assert fingerprint(values={3, 1, 2}) == fingerprint(values=[1, 2, 3])
    assert len(run_name(one)) == 12
    with pytest.raises(TypeError, match="cannot fingerprint object"):
        fingerprint(a=object())


def test_stamps_follow_names_sizes_and_times(tmp_path):
    product = tmp_path / "product"
    (product / "sub").mkdir(parents=True)
    (product / "sub" / "a").write_text("one")
    before = file_stamp(product)
    assert file_stamp(product) == before
    (product / "sub" / "a").write_text("three")
    changed = file_stamp(product)
    (product / "sub" / "b").write_text("")
    assert len({before, changed, file_stamp(product)}) == 3
    assert file_stamp(product / "sub" / "a") != file_stamp(product / "sub" / "b")


def test_digests_are_of_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").write_bytes(b"x")
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b")


def test_a_moved_data_root_stays_whole(tmp_path):
    stage = _Stage(tmp_path / "here")
    stage.receipt.parent.mkdir(parents=True)
    stage.run("a")
    (tmp_path / "here").rename(tmp_path / "there")
    moved = find_outcome(tmp_path / "there" / "receipts" / "stage.json", "a")
    assert moved is not None
    assert moved.path == tmp_path / "there" / "out.txt"
