"""A real Ray on this machine: nothing is lost or done twice, whatever ends in the middle."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")
parquet = pytest.importorskip("pyarrow.parquet")

import multirnet
import multirnet.ray

OPTIONS = {"pipeline": "global", "explain": False}
SOUND = 12
BAD = ["scans/bad.nii.gz", "scans/absent.nii.gz"]

STUDY = """\
title = "Two systems"
cohort.phantoms = { normal = 2, cap = 2, covid19 = 2, seed = 3, matrix = 96 }
split = { test_fraction = 0.4, validation_fraction = 0.0 }
[train]
prepare = { global_shape = [16, 32, 32], spacing_mm = [10.0, 8.0, 8.0] }
sampling = { patch_size = [16, 32, 32], batch = 2, steps_per_epoch = 1 }
optimiser.warmup_steps = 0
run.epochs = 1
[predict]
window_shape = [16, 32, 32]
"""
SYSTEM = """\
[[system]]
id = "{id}"
[system.set.model]
system = "multirnet"
channels = [4, 4, 6, 6, 8]
class_channels = [4, 4, 4, 6, 6, 8]
iterations = {iterations}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Start Ray with two processors, on the loopback interface only."""
    ray.init(
        num_cpus=2,
        _node_ip_address="127.0.0.1",
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=80 * 2**20,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Make three scans."""
    folder = tmp_path_factory.mktemp("phantoms")
    multirnet.phantom.cohort(folder, per_class=1, seed=5, matrix=96)
    return sorted(folder.glob("*-ct.nii.gz"))


@pytest.fixture
def manifest(phantoms: list[Path], tmp_path: Path) -> Path:
    """List sound scans and two that cannot be used."""
    (tmp_path / "scans").mkdir()
    names = [f"scans/s{i}.nii.gz" for i in range(SOUND)]
    for i, name in enumerate(names):
        os.link(phantoms[i % len(phantoms)], tmp_path / name)
    (tmp_path / BAD[0]).write_text("Dear colleague,")
    path = tmp_path / "scans.csv"
    path.write_text("scan\n" + "".join(f"{n}\n" for n in [*names[:3], *BAD, *names[3:]]))
    return path


def rows(out: Path) -> dict[str, dict[str, Any]]:
    """Read the table; each scan has one row."""
    read: list[dict[str, Any]] = []
    for part in sorted((out / "table").glob("*.parquet")):
        read += parquet.read_table(part).to_pylist()
    table = {row["scan"]: row for row in read}
    assert len(table) == len(read), Counter(row["scan"] for row in read)
    return table


def check(out: Path, events: list[dict[str, Any]], count: int) -> None:
    """Check that each scan was told of once, has one row, and its files or its reason."""
    told = Counter(e["record"]["scan"] for e in events if e["event"] == "scan")
    table = rows(out)
    assert set(told) == set(table)
    assert set(told.values()) == {1}
    assert len(table) == count
    for scan, row in table.items():
        if scan in BAD:
            assert row["state"] == "failed"
            assert row["kind"] in ("scan", "io")
            assert row["reason"]
        else:
            assert row["state"] == "done"
            assert row["class"] in ("normal", "cap", "covid19")
            for name in ("lesions.nii.gz", "lungs.nii.gz", "finding.json", "record.json"):
                assert (Path(row["results"]) / name).stat().st_size > 0
    assert not [p for p in out.rglob("*") if p.name.startswith((".multirnet-partial-", ".part-", ".record"))]


@pytest.mark.usefixtures("cluster")
def test_a_killed_actor_loses_nothing_and_repeats_nothing(manifest: Path, tmp_path: Path) -> None:
    """Kill an actor in the middle; then run again."""
    out = tmp_path / "out"
    events: list[dict[str, Any]] = []
    pids: list[int] = []

    def progress(event: dict[str, Any]) -> None:
        events.append(event)
        if event["event"] == "actor_started":
            pids.append(event["pid"])
        if sum(e["event"] == "scan" for e in events) == 3 and pids:
            os.kill(pids.pop(), signal.SIGKILL)
            pids.clear()

    arguments: dict[str, Any] = {"num_actors": 2, "options": OPTIONS, "rows_per_file": 4}
    made = multirnet.ray.predict(manifest, None, out, progress=progress, **arguments)
    assert (made.done, made.skipped, made.failed, made.actors_lost) == (SOUND, 0, 2, 1)
    assert sum(e["event"] == "actor_started" for e in events) == 3
    check(out, events, SOUND + 2)
    assert len(list((out / "table").glob("*.parquet"))) >= 3, "rows are streamed"

    # Again: what is done is skipped, and failures are tried once more.
    changed = {p: p.stat().st_mtime_ns for p in (out / "scans").rglob("record.json")}
    events.clear()
    pids.clear()
    made = multirnet.ray.predict(manifest, None, out, progress=events.append, **arguments)
    assert (made.done, made.skipped, made.failed, made.actors_lost) == (0, SOUND, 2, 0)
    check(out, events, SOUND + 2)
    assert all(p.stat().st_mtime_ns == time for p, time in changed.items())

    # Another set of options would mix results.
    with pytest.raises(multirnet.errors.OptionsError, match="another run"):
        multirnet.ray.predict(manifest, None, out, num_actors=1, options={"threshold": 0.3})


@pytest.mark.usefixtures("cluster")
def test_a_driver_that_ends_early_goes_on(manifest: Path, tmp_path: Path) -> None:
    """End the driver in the middle and lose the rows that were not written."""
    out = tmp_path / "out"
    count = 0

    def stop(event: dict[str, Any]) -> None:
        nonlocal count
        count += event["event"] == "scan"
        if count == 5:
            raise KeyboardInterrupt

    arguments: dict[str, Any] = {"num_actors": 2, "options": OPTIONS, "rows_per_file": 2}
    with pytest.raises(KeyboardInterrupt):
        multirnet.ray.predict(manifest, None, out, progress=stop, **arguments)
    parts = sorted((out / "table").glob("*.parquet"))
    parts[-1].unlink()
    (out / "table" / ".part-000009.parquet").write_bytes(b"half")
    events: list[dict[str, Any]] = []
    made = multirnet.ray.predict(manifest, None, out, progress=events.append, **arguments)
    assert made.done + made.skipped == SOUND
    assert made.failed == 2
    assert 3 <= made.skipped < SOUND
    check(out, events, SOUND + 2)


@pytest.mark.usefixtures("cluster")
def test_a_scan_that_ends_its_actor_is_given_up(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One scan kills every actor that gets it."""

    # A class of this function travels to the actors as code, not as a name of this module.
    class Ending(multirnet.ray._Actor):
        def analyse(self, written: str, path: str) -> dict[str, Any]:
            if written == "scans/s4.nii.gz":
                os.kill(os.getpid(), signal.SIGKILL)
            return super().analyse(written, path)

    monkeypatch.setattr(multirnet.ray, "_Actor", Ending)
    out = tmp_path / "out"
    made = multirnet.ray.predict(manifest, None, out, num_actors=2, options=OPTIONS, max_starts=2)
    assert (made.done, made.failed, made.actors_lost) == (SOUND - 1, 3, 2)
    row = rows(out)["scans/s4.nii.gz"]
    assert (row["state"], row["kind"]) == ("failed", "ended")
    assert "2 times" in row["reason"]


@pytest.mark.usefixtures("cluster")
def test_scans_are_read_as_fast_as_they_are_analysed(phantoms: list[Path], tmp_path: Path) -> None:
    """An endless source would not fill the memory."""
    given = told = 0

    def source() -> Iterator[str]:
        nonlocal given
        for i in range(8):
            path = tmp_path / f"{i}.nii.gz"
            os.link(phantoms[0], path)
            given += 1
            yield str(path)

    def progress(event: dict[str, Any]) -> None:
        nonlocal told
        told += event["event"] == "scan"
        assert given <= told + 2

    made = multirnet.ray.predict(
        source(), None, tmp_path / "out", num_actors=2, options=OPTIONS, progress=progress
    )
    assert made.done == told == 8


@pytest.mark.usefixtures("cluster")
def test_wrong_arguments_are_refused(manifest: Path, tmp_path: Path) -> None:
    """Errors of the model and of the list are the library's own."""
    with pytest.raises(multirnet.errors.ModelError):
        multirnet.ray.predict(manifest, tmp_path / "none.safetensors", tmp_path / "out", num_actors=1)
    (tmp_path / "wrong.csv").write_text("file\na.nii\n")
    with pytest.raises(multirnet.errors.FileError, match="column"):
        multirnet.ray.predict(tmp_path / "wrong.csv", None, tmp_path / "out", num_actors=1)
    with pytest.raises(multirnet.errors.OptionsError):
        multirnet.ray.predict(manifest, None, tmp_path / "out", num_actors=0)


@pytest.mark.usefixtures("cluster")
def test_the_program_merges_what_ray_wrote(
    manifest: Path, tmp_path: Path, program: Callable[..., str]
) -> None:
    """The folder is that of the program, so its table has the same figures."""
    sound = tmp_path / "sound.csv"
    sound.write_text("".join(line for line in manifest.open() if line.strip() not in BAD))
    ours = tmp_path / "ours"
    made = multirnet.ray.predict(sound, None, ours, num_actors=2, options=OPTIONS)
    assert made.done == SOUND
    theirs = tmp_path / "theirs"
    flags = ["--pipeline", "global", "--no-heatmap"]
    program("predict", "--manifest", sound, "-o", theirs, *flags)
    tables = []
    for out in (ours, theirs):
        said = program("merge", out, "--manifest", sound, "-o", tmp_path / "t.csv")
        assert said.startswith(f"{SOUND} done, 0 failed, 0 missing")
        lines = (tmp_path / "t.csv").read_text().splitlines()
        of_the_run = {lines[0].split(",").index(c) for c in ("results", "seconds", "host")}
        cells = [line.split(",") for line in lines]
        tables.append([[c for i, c in enumerate(row) if i not in of_the_run] for row in cells])
    assert tables[0] == tables[1]


@pytest.mark.usefixtures("cluster")
def test_a_distributed_study_has_the_tables_of_one_machine(
    tmp_path: Path, program: Callable[..., str]
) -> None:
    """Two trainings as tasks, and the same study by the program alone."""
    study = tmp_path / "study.toml"
    systems = [SYSTEM.format(id=f"i{n}", iterations=n) for n in range(2)]
    study.write_text(STUDY + "".join(systems))
    path = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).resolve().parents[2] / "target"))
    events: list[dict[str, Any]] = []
    text = multirnet.ray.compare(
        study,
        tmp_path / "apart",
        program=path / "release" / "multirnet",
        arguments=["--no-figures"],
        progress=events.append,
    )
    assert events[0]["parts"] == ["i0/split", "i1/split"]
    assert sorted(e["part"] for e in events[1:]) == ["i0/split", "i1/split"]
    assert text == program("compare", study, "--out", tmp_path / "whole", "--no-figures")
    for kind in ("tables", "scores"):
        files = sorted(p for p in (tmp_path / "whole" / kind).rglob("*") if p.is_file())
        assert files
        for file in files:
            other = tmp_path / "apart" / file.relative_to(tmp_path / "whole")
            assert other.read_bytes() == file.read_bytes(), file
    # A wrong study is refused by the program's own words.
    study.write_text("title = 3\n")
    with pytest.raises(multirnet.errors.TrainingError, match="expected a string"):
        multirnet.ray.compare(study, tmp_path / "wrong", program=path / "release" / "multirnet")
