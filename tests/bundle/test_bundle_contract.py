"""A bundle that is damaged, or none, is refused in one line."""

import json

import pytest

from agri_assets.bundle.contract import INT8_FILE, ONNX_FILE, BundleContract
from agri_assets.bundle.runner import load_runner
from agri_assets.errors import ModelError


def refused(match, call, *arguments):
    with pytest.raises(ModelError, match=match) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)


def test_what_is_no_bundle_is_refused(tiny_run, tmp_path):
    refused("not a bundle", BundleContract.load, tmp_path)
    refused("not a bundle", BundleContract.load, tmp_path / "nowhere")
    refused("no bundle's contract", BundleContract.load, tiny_run)


def test_a_damaged_contract_is_refused(changed_bundle):
    folder = changed_bundle()
    file = folder / "contract.json"
    good = json.loads(file.read_text())
    assert BundleContract.load(folder).model_dump(mode="json") == good
    file.write_text(json.dumps({**good, "threshold": "high"}))
    refused("damaged at threshold", BundleContract.load, folder)
    file.write_text(json.dumps({**good, "unknown": 1}))
    refused("damaged at unknown", BundleContract.load, folder)
    file.write_text(file.read_text()[:100])
    refused("damaged, not JSON", BundleContract.load, folder)


@pytest.mark.parametrize("int8", [False, True])
def test_a_damaged_network_is_refused(changed_bundle, bundle, int8):
    folder, name = changed_bundle(), INT8_FILE if int8 else ONNX_FILE
    contract = BundleContract.load(folder)
    assert load_runner(folder, contract, int8).shape == (3, 32, 32)
    (folder / name).unlink()
    refused(f"{name}: no such file", load_runner, folder, contract, int8)
    flipped = bytearray((bundle / name).read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (folder / name).write_bytes(flipped)
    refused(f"{name}: damaged", load_runner, folder, contract, int8)


def test_a_bundle_without_an_8_bit_network_says_so(changed_bundle, bundle):
    files = BundleContract.load(bundle).files
    folder = changed_bundle(files={ONNX_FILE: files[ONNX_FILE]})
    refused(f"has no {INT8_FILE}", load_runner, folder, BundleContract.load(folder), True)


def test_a_network_that_onnxruntime_cannot_read_is_refused(changed_bundle):
    folder = changed_bundle()
    path = folder / ONNX_FILE
    path.unlink()
    path.write_bytes(b"not a network")
    from agri_assets.store.fingerprint import file_digest

    contract = BundleContract.load(folder).model_copy(update={"files": {ONNX_FILE: file_digest(path)}})
    refused("cannot run it", load_runner, folder, contract)
