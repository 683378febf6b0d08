"""Analyses and studies on a cluster, with Ray.

Needs ``pip install "ray[default]" pyarrow``; nothing else of the package does. `predict` keeps the model
loaded in actors and gives each one scan at a time. `compare` distributes the trainings of a study.

The folder of results is that of ``multirnet predict --manifest``: ``multirnet merge OUT`` makes its table,
too. In addition, ``OUT/table`` has the rows as Parquet files, which grow while the work goes on.

Examples
--------
>>> import ray, multirnet.ray  # doctest: +SKIP
>>> ray.init("auto")  # doctest: +SKIP
>>> multirnet.ray.predict("scans.csv", None, "results", num_actors=64)  # doctest: +SKIP
Summary(done=1563, skipped=0, failed=2, actors_lost=1, table='results/table')
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._batch import (
    ListedScan,
    ParquetTable,
    ResultFolder,
    figures_of,
    given_up,
    listed_scans,
    write_whole,
)
from .errors import MultirnetError, OptionsError

__all__ = ["Summary", "compare", "predict"]

# Errors that concern every scan: a full disk, or a device that cannot be used.
_ENDING_KINDS = ("write", "device", "interrupted")

Progress = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Parameters
    ----------
    done : int
        Scans that were analysed now.
    skipped : int
        Scans that had their results before.
    failed : int
        Scans that could not be analysed. Their rows have kind and reason, and the next run tries again.
    actors_lost : int
        Actors that ended in the middle of a scan, and were replaced.
    table : str
        Folder of the Parquet files.
    """

    done: int
    skipped: int
    failed: int
    actors_lost: int
    table: str


class _Actor:
    """Keeps a model and analyses one scan after the other. Ray makes an actor of it."""

    def __init__(self, model: str | None, out: str, options: dict[str, Any], threads: int) -> None:
        # Read when the first work begins.
        os.environ["RAYON_NUM_THREADS"] = str(threads)
        self._wanted = model
        self._folder = ResultFolder(out)
        self._options = options
        self._model: Any = None

    def ready(self) -> dict[str, Any]:
        """Load the model. Returns what the driver must know of this process and the model."""
        import multirnet

        self._model = multirnet.load_model(self._wanted)
        options = {**self._model.options(), **self._options, "memory_limit_mib": None}
        digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "identity": {
                "version": multirnet.__version__,
                "model": self._model.name,
                "model_sha256": self._model.sha256,
                "options_sha256": f"python-{digest[:57]}",
            },
        }

    def analyse(self, written: str, path: str) -> dict[str, Any]:
        """Analyse a scan, write its results and return its record."""
        scan = ListedScan(written, path)
        # A process that was killed after its last write has no result but the files.
        found = self._folder.record(scan.name)
        if found is not None:
            return found
        begun = time.perf_counter()
        record: dict[str, Any] = {"scan": written, "name": scan.name, "host": socket.gethostname()}
        try:
            finding = self._model.analyse(path, options=self._options)
            finding.write(self._folder.results(scan.name), name=scan.name)
        except MultirnetError as error:
            if error.kind in _ENDING_KINDS:
                raise
            failure = {"kind": error.kind, "reason": error.reason, "hint": error.hint}
            record.update(state="failed", failure=failure, seconds=time.perf_counter() - begun)
            write_whole(self._folder.failure(scan.name), record)
            return record
        figures = figures_of(finding.to_dict())
        record.update(state="done", figures=figures, seconds=time.perf_counter() - begun)
        # The record comes last: a scan with a record has all its results.
        write_whole(self._folder.results(scan.name) / "record.json", record)
        self._folder.failure(scan.name).unlink(missing_ok=True)
        return record


def _ray() -> Any:
    """Import Ray, and say how to get it."""
    try:
        import ray  # type: ignore[import-untyped, import-not-found, unused-ignore]
        import pyarrow  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError as error:
        raise ImportError('multirnet.ray needs Ray and pyarrow: pip install "ray[default]" pyarrow') from error
    return ray


class _Pool:
    """Actors, each of which has one scan at a time. Lost ones are replaced."""

    def __init__(self, ray: Any, make: Callable[[], Any], progress: Progress) -> None:
        self._ray, self._make, self._progress = ray, make, progress
        self._starting: dict[Any, Any] = {}
        self._facts: dict[Any, dict[str, Any]] = {}
        self.running: dict[Any, tuple[Any, ListedScan]] = {}
        self.idle: deque[Any] = deque()
        self.lost = 0
        self._lost_in_a_row = 0

    def start(self) -> None:
        """Start an actor. It gets work when its model is loaded."""
        actor = self._make()
        self._starting[actor.ready.remote()] = actor

    def give(self, scan: ListedScan) -> None:
        """Give a scan to an idle actor."""
        actor = self.idle.popleft()
        self.running[actor.analyse.remote(scan.written, scan.path)] = (actor, scan)

    def wait(self) -> Iterator[tuple[ListedScan, dict[str, Any] | None, dict[str, Any]]]:
        """Wait for the next events. Yields scans with their record, or None if their actor was lost."""
        refs = list(self._starting) + list(self.running)
        ready, _ = self._ray.wait(refs, num_returns=1, timeout=1.0)
        for ref in ready:
            if ref in self._starting:
                self._started(ref)
                continue
            actor, scan = self.running.pop(ref)
            facts = self._facts[actor]
            try:
                record = self._ray.get(ref)
            except self._ray.exceptions.RayActorError:
                self.lost += 1
                del self._facts[actor]
                self._progress({"event": "actor_lost", "scan": scan.written, **facts})
                self.start()
                yield scan, None, facts
            else:
                self.idle.append(actor)
                yield scan, record, facts

    def _started(self, ref: Any) -> None:
        actor = self._starting.pop(ref)
        try:
            facts = self._ray.get(ref)
        except self._ray.exceptions.RayActorError:
            # It was lost before it had work, for instance with its node.
            self._lost_in_a_row += 1
            if self._lost_in_a_row > 10:
                raise
            self.start()
            return
        self._lost_in_a_row = 0
        self._facts[actor] = facts
        self.idle.append(actor)
        self._progress({"event": "actor_started", **facts})

    def any_facts(self) -> dict[str, Any] | None:
        """What an actor said of itself; None before the first is ready."""
        return next(iter(self._facts.values()), None)

    def end(self) -> None:
        """End all actors."""
        for actor in [*self._starting.values(), *self._facts]:
            self._ray.kill(actor)


def predict(
    scans: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    model: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    *,
    num_actors: int | None = None,
    num_cpus: int = 1,
    resources: Mapping[str, float] | None = None,
    options: Mapping[str, Any] | None = None,
    max_starts: int = 3,
    rows_per_file: int = 1000,
    seconds_per_file: float = 60.0,
    progress: Progress | None = None,
) -> Summary:
    """Analyse many scans on the Ray cluster that this process is connected to.

    Each actor loads the model once and has one scan at a time, so the number of scans in flight is that
    of the actors, and an iterable of any length is read only as fast as scans are analysed. Scans with
    results are skipped. An actor that is lost is replaced and its scan given to another one.

    Parameters
    ----------
    scans : path-like or iterable of path-like
        A manifest (CSV with the column ``scan``), or paths. All nodes see them under the same paths.
    model : path-like or None
        What `multirnet.load_model` takes.
    out : path-like
        Folder for the results, on a file system that all nodes share.
    num_actors : int, optional
        Number of actors. Default: as many as the cluster's processors allow now.
    num_cpus : int, optional
        Processors, and threads, of each actor.
    resources : mapping, optional
        Further resources of each actor, as Ray names them, e.g. ``{"memory": 4 * 2**30}``.
    options : mapping, optional
        Changes of the model's options, as for `multirnet.Model.analyse`.
    max_starts : int, optional
        A scan is given up after it was begun this often and its actor was lost each time. It would
        otherwise keep ending actors, for instance by taking all memory.
    rows_per_file, seconds_per_file : int and float, optional
        A Parquet file is written when so many rows wait, or after so many seconds.
    progress : callable, optional
        Receives a dictionary for each event: ``actor_started`` and ``actor_lost`` (with ``host`` and
        ``pid``) and ``scan`` (with the scan's ``record``).

    Returns
    -------
    Summary
        The numbers of scans.

    Raises
    ------
    MultirnetError
        If the model cannot be loaded, a result cannot be written, or `out` holds results of another
        version, model or options.
    """
    ray = _ray()
    folder = ResultFolder(os.path.abspath(out))
    wanted = dict(resources or {})
    made = ray.remote(_Actor).options(
        num_cpus=num_cpus,
        memory=wanted.pop("memory", None),
        resources=wanted,
        max_restarts=0,
        max_task_retries=0,
    )
    if num_actors is None:
        num_actors = max(1, int(ray.cluster_resources().get("CPU", 1) // num_cpus))
    if num_actors < 1 or max_starts < 1:
        raise OptionsError("num_actors and max_starts are whole numbers above 0", "options")
    name = None if model is None else os.fspath(model)
    arguments = (name, str(folder.root), dict(options or {}), num_cpus)
    tell: Progress = progress or (lambda event: None)
    pool = _Pool(ray, lambda: made.remote(*arguments), tell)
    table: ParquetTable | None = None
    counts = {"done": 0, "skipped": 0, "failed": 0}
    starts: dict[str, int] = {}
    again: deque[ListedScan] = deque()
    rest = listed_scans(scans)

    def add(record: dict[str, Any], count: str) -> None:
        assert table is not None
        is_done = record["state"] == "done"
        table.add(record, str(folder.results(record["name"])) if is_done else "")
        counts[count] += 1
        tell({"event": "scan", "record": record})

    def next_scan() -> ListedScan | None:
        """The next scan without results. Those that have some get their row here."""
        for scan in itertools.chain(iter(lambda: again.popleft() if again else None, None), rest):
            found = folder.record(scan.name)
            if found is None or scan.name in starts:
                return scan
            add(found, "skipped")
        return None

    try:
        for _ in range(num_actors):
            pool.start()
        is_over = False
        while not is_over:
            for scan, record, facts in pool.wait():
                if record is None:
                    folder.remove_leftovers(scan.name, facts["host"], facts["pid"])
                    if starts[scan.name] < max_starts:
                        again.append(scan)
                        continue
                    record = given_up(scan, starts[scan.name], facts)
                    write_whole(folder.failure(scan.name), record)
                starts.pop(scan.name, None)
                add(record, "done" if record["state"] == "done" else "failed")
            first = pool.any_facts()
            if table is None and first is not None:
                folder.open(first["identity"])
                table = ParquetTable(folder.root / "table", rows_per_file, seconds_per_file)
            while pool.idle and table is not None:
                given = next_scan()
                if given is None:
                    is_over = not pool.running
                    break
                starts[given.name] = starts.get(given.name, 0) + 1
                pool.give(given)
    finally:
        if table is not None:
            table.flush()
        pool.end()
    return Summary(**counts, actors_lost=pool.lost, table=os.path.join(os.fspath(out), "table"))


def _with_parent(command: Sequence[str]) -> tuple[int, str, str]:
    """Run a program that ends with this process. Returns its exit code, output and messages."""
    import ctypes
    import signal
    import subprocess
    import sys

    def tie() -> None:
        # PR_SET_PDEATHSIG. Without it a program whose worker was killed would keep its training locked.
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    run = subprocess.run(command, capture_output=True, text=True, preexec_fn=tie, check=False)
    return run.returncode, run.stdout, run.stderr


def compare(
    study: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    program: str | os.PathLike[str] = "multirnet",
    arguments: Sequence[str] = (),
    num_cpus: int = 1,
    resources: Mapping[str, float] | None = None,
    max_retries: int = 3,
    progress: Progress | None = None,
) -> str:
    """Train and score the systems of a study on the Ray cluster that this process is connected to.

    Each training (a system in a division) is a task of its own. They run ``multirnet compare --only``;
    when all are done, ``multirnet compare`` makes the tables. These are those of one machine, because
    trainings do not depend on each other. A task whose worker is lost goes on from its last checkpoint.

    Parameters
    ----------
    study : path-like
        The study's configuration.
    out : path-like
        Folder of the study, on a file system that all nodes share.
    program : path-like, optional
        The program ``multirnet``, which all nodes have.
    arguments : sequence of str, optional
        Further arguments of ``multirnet compare``, e.g. ``["--no-figures"]``.
    num_cpus : int, optional
        Processors, and threads, of each training.
    resources : mapping, optional
        Further resources of each training, as Ray names them.
    max_retries : int, optional
        How often a training is started again after its worker was lost.
    progress : callable, optional
        Receives a dictionary for each event: ``parts`` (with all ``parts``) and ``part`` (with the name
        of the ``part`` that is done).

    Returns
    -------
    str
        The tables as text.

    Raises
    ------
    TrainingError
        If a training fails. The others are kept, and another call goes on.
    """
    ray = _ray()
    tell: Progress = progress or (lambda event: None)
    base = [os.fspath(program), "--threads", str(num_cpus), "compare", os.path.abspath(study)]
    base += ["--out", os.path.abspath(out), *arguments]

    def said(result: tuple[int, str, str], what: str) -> str:
        code, output, messages = result
        if code:
            from .errors import TrainingError

            lines = messages.strip().splitlines() or ["it says nothing"]
            raise TrainingError(f"{what} ended with code {code}: {lines[-1]}", "training")
        return output

    parts = said(_with_parent([*base, "--list-parts"]), "the list of parts").splitlines()
    tell({"event": "parts", "parts": parts})
    wanted = dict(resources or {})
    task = ray.remote(_with_parent).options(
        num_cpus=num_cpus,
        memory=wanted.pop("memory", None),
        resources=wanted,
        max_retries=max_retries,
    )
    running = {task.remote([*base, "--only", part]): part for part in parts}
    failed: Exception | None = None
    while running:
        ready, _ = ray.wait(list(running), num_returns=1)
        part = running.pop(ready[0])
        try:
            said(ray.get(ready[0]), f"the part {part}")
            tell({"event": "part", "part": part})
        except (MultirnetError, ray.exceptions.RayError) as error:
            # The others go on; what they train is kept.
            failed = failed or error
    if failed is not None:
        raise failed
    return said(_with_parent(base), "the study")
