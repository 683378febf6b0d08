"""Trainings and comparisons, as small as they can be."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import multirnet
import pytest
from multirnet.errors import MultirnetError, OptionsError
from multirnet.phantom import Phantom

# A net that learns nothing, from windows that hold next to nothing.
CONFIG: dict[str, Any] = {
    "model": {"preset": "small", "iterations": 0, "lesion_channels": 2},
    "prepare": {"spacing_mm": [10.0, 8.0, 8.0], "global_shape": [16, 32, 32]},
    "sampling": {"patch_size": [16, 32, 32], "batch": 2, "steps_per_epoch": 1},
    "validation": {"local_windows": 1, "max_windows": 4},
    "run": {"epochs": 2},
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a cohort of phantoms."""
    folder = tmp_path_factory.mktemp("cohort")
    return multirnet.phantom.cohort(folder, per_class=4, seed=1, matrix=96)


def test_a_training_tells_its_events_and_gives_a_model(
    manifest: str, tmp_path: Path, phantom: Phantom
) -> None:
    events: list[dict[str, Any]] = []
    run = tmp_path / "mine"
    summary = multirnet.train(manifest, CONFIG, out=run, callback=events.append)
    kinds = [event["event"] for event in events]
    # Three scans are held out for a test.
    assert kinds.count("prepared") == 9 and kinds[-1] == "finished"
    assert kinds.count("step") == 2 == summary.steps and kinds.count("epoch") == 2
    assert (summary.reason, summary.epochs) == ("epochs", 2)
    assert summary.model == str(run / "model.safetensors")
    assert (run / "curves.png").exists()
    model = multirnet.load_model(summary.model)
    assert model.name == "mine"
    assert model.card()["trained_on"] == "cohort with 4 normal, 4 CAP and 4 COVID-19 scans."
    assert model.analyse(phantom).lesions.shape == phantom.ct.shape


def test_a_training_that_was_interrupted_is_saved_and_goes_on(
    manifest: str, tmp_path: Path
) -> None:
    def press(event: dict[str, Any]) -> None:
        if event["event"] == "step":
            os.kill(os.getpid(), signal.SIGINT)

    config = {**CONFIG, "run": {"epochs": 200}}
    with pytest.raises(KeyboardInterrupt):
        multirnet.train(manifest, config, out=tmp_path, callback=press)
    assert (tmp_path / "checkpoints" / "last.state").exists()
    done: list[int] = []

    def note(event: dict[str, Any]) -> None:
        if event["event"] == "started":
            done.append(event["done"])
            raise LookupError

    with pytest.raises(LookupError):
        multirnet.train(manifest, out=tmp_path, resume=True, callback=note)
    assert done[0] >= 1


def test_unusable_configurations_are_refused(manifest: str, tmp_path: Path) -> None:
    for config in ({"run": {"epoch": 1}}, {"run": {"epochs": "many"}}):
        with pytest.raises(OptionsError):
            multirnet.train(manifest, config, out=tmp_path / "run")
    with pytest.raises(MultirnetError) as caught:
        multirnet.train(tmp_path / "none.csv", CONFIG, out=tmp_path / "run")
    assert caught.value.path == str(tmp_path / "none.csv")


def test_a_comparison_is_done_once(manifest: str, tmp_path: Path) -> None:
    config = {
        "title": "Two nets",
        "cohort": {"manifest": manifest},
        "train": {key: table for key, table in CONFIG.items() if key != "model"},
        "system": [
            {"id": "one", "set": {"model": CONFIG["model"]}},
            {"id": "two", "set": {"model": CONFIG["model"], "run": {"seed": 2}}},
        ],
    }
    events: list[dict[str, Any]] = []
    found = multirnet.compare(config, out=tmp_path, figures=False, callback=events.append)
    assert [e["system"] for e in events if e["event"] == "training"] == ["one", "two"]
    assert found.report is None and "Two nets" in str(found)
    again: list[dict[str, Any]] = []
    second = multirnet.compare(config, out=tmp_path, figures=False, callback=again.append)
    assert not [e for e in again if e["event"] == "training"]
    assert second.tables == found.tables and second.results == found.results
    assert json.dumps(found.results)
    with pytest.raises(MultirnetError) as caught:
        multirnet.compare({**config, "title": "Another"}, out=tmp_path, figures=False)
    assert caught.value.kind == "folder"
