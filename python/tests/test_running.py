"""What happens around the work: interrupts, threads, processes, progress and messages."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import multirnet
import numpy as np
import pytest
from multirnet import Finding, Model
from multirnet.phantom import Phantom


def test_ctrl_c_ends_an_analysis(model: Model, phantom: Phantom, finding: Finding) -> None:
    steps: list[str] = []

    def press(share: float, step: str) -> None:
        steps.append(step)
        if step == "lungs":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        model.analyse(phantom, progress=press)
    assert "measure" not in steps
    # The model works on.
    assert np.array_equal(model.analyse(phantom).lesions, finding.lesions)


def test_ctrl_c_ends_work_that_has_no_steps() -> None:
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        multirnet.phantom.generate(matrix=512)
    timer.join()


def test_an_exception_in_the_callback_ends_the_analysis(model: Model, phantom: Phantom) -> None:
    def fail(share: float, step: str) -> None:
        raise LookupError(step)

    with pytest.raises(LookupError, match="hash"):
        model.analyse(phantom, progress=fail)


def test_the_lock_is_released(model: Model, phantom: Phantom) -> None:
    done = threading.Event()
    seen: list[int] = []

    def count() -> None:
        n = 0
        while not done.is_set():
            n += 1
            time.sleep(0)
        seen.append(n)

    # A thread that held the lock for the whole analysis would be asked for it once only.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        thread = threading.Thread(target=count)
        thread.start()
        model.analyse(phantom)
        done.set()
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert seen[0] > 100


def test_threads_share_models(model: Model, phantom: Phantom, finding: Finding) -> None:
    other = multirnet.load_model()
    models = [model, other, model, other]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda m: m.analyse(phantom), models))
    for one in found:
        assert np.array_equal(one.probability, finding.probability)
        assert one.probabilities == finding.probabilities


def analyse_in_child(connection: multiprocessing.connection.Connection) -> None:
    """Analyse in another process and send what came of it."""
    try:
        scan = multirnet.phantom.generate(seed=7, diagnosis="covid19", matrix=96)
        connection.send(multirnet.load_model().analyse(scan).probabilities)
    except multirnet.MultirnetError as error:
        connection.send(error)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_work_if_they_are_not_forks(method: str, finding: Finding) -> None:
    here, there = multiprocessing.Pipe()
    start: Any = multiprocessing.get_context(method)
    process = start.Process(target=analyse_in_child, args=(there,))
    process.start()
    assert here.poll(120)
    result = here.recv()
    process.join()
    if method == "fork":
        assert isinstance(result, multirnet.errors.ProcessError)
        assert result.kind == "process" and "spawn" in str(result.hint)
    else:
        assert result == finding.probabilities


def test_progress_rises_to_its_end(model: Model, phantom: Phantom) -> None:
    shares: list[float] = []
    steps: list[str] = []

    def note(share: float, step: str) -> None:
        shares.append(share)
        steps.append(step)

    model.analyse(phantom, progress=note)
    assert shares == sorted(shares) and 0 <= shares[0] and shares[-1] <= 1
    assert [steps[0], steps[-1]] == ["hash", "measure"]
    assert any(step.startswith("window ") for step in steps)


def test_tqdm_shows_progress_if_it_is_there(
    model: Model,
    phantom: Phantom,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model.analyse(phantom, name="one scan", progress=True)
    assert "one scan" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    model.analyse(phantom, name="one scan", progress=True)
    assert "one scan" not in capsys.readouterr().err


def test_messages_go_to_logging(
    model: Model, phantom: Phantom, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "multirnet"):
        model.analyse(phantom)
    records = [r for r in caplog.records if "scan analysed" in r.getMessage()]
    assert [r.name for r in records] == ["multirnet.infer.model"]
    assert records[0].levelno == logging.DEBUG
    caplog.clear()
    with caplog.at_level(logging.WARNING, "multirnet"):
        model.analyse(phantom)
    assert not [r for r in caplog.records if r.levelno < logging.WARNING]


def test_a_cohort_of_phantoms_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def press(share: float, step: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        multirnet.phantom.cohort(tmp_path, per_class=2, matrix=96, progress=press)
    manifest = multirnet.phantom.cohort(tmp_path, per_class=2, matrix=96)
    assert manifest == str(tmp_path / "cohort.csv")
    assert len(list(tmp_path.glob("*-ct.nii.gz"))) == 6
