"""Trainings and comparisons."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from . import _multirnet

__all__ = ["Comparison", "TrainingSummary", "compare", "train"]

PathLike = str | os.PathLike[str]
Event = dict[str, Any]


@dataclass(frozen=True)
class TrainingSummary:
    """How a training ended.

    Parameters
    ----------
    model : str
        Path of the model's file, which `multirnet.load_model` takes.
    reason : str
        ``"epochs"``, ``"patience"``, ``"time"`` or ``"interrupted"``.
    stage, epochs, steps, best_epoch : int
        The stage that it ended in, epochs and steps done, and the epoch of the best weights.
    best_loss : float or None
        The lowest validation loss.
    threshold : float or None
        The threshold with the highest mean Dice over the validation windows.
    minutes : float
        Minutes of training in all parts of the run.
    wait_seconds, compute_seconds, validation_seconds : float
        Seconds of this part spent on waiting for windows, on steps, and on validation.
    best_weights, last_weights : str
        Paths of the best and of the last weights.
    """

    model: str
    reason: str
    stage: int
    epochs: int
    steps: int
    best_epoch: int
    best_loss: float | None
    threshold: float | None
    minutes: float
    wait_seconds: float
    compute_seconds: float
    validation_seconds: float
    best_weights: str
    last_weights: str


@dataclass(frozen=True)
class Comparison:
    """Results of a comparison.

    Parameters
    ----------
    results : dict
        Everything, as ``multirnet compare --json`` prints it.
    tables : str
        The tables as text.
    report : str or None
        Path of the page with the figures, if they were drawn.
    """

    results: dict[str, Any]
    tables: str
    report: str | None

    def __str__(self) -> str:
        """Return the tables."""
        return self.tables


def train(
    manifest: PathLike | Sequence[PathLike],
    config: PathLike | Mapping[str, Any] | None = None,
    *,
    out: PathLike,
    callback: Callable[[Event], object] | None = None,
    data: PathLike | None = None,
    fold: int | None = None,
    use_all: bool = False,
    resume: bool = False,
    cache: PathLike | None = None,
    max_minutes: float | None = None,
    init: PathLike | None = None,
    trained_on: str | None = None,
    progress: bool = False,
) -> TrainingSummary:
    """Train a model on a cohort.

    Ctrl-C saves and then raises ``KeyboardInterrupt``; `resume` continues to the same weights.

    Parameters
    ----------
    manifest : path-like or sequence of path-like
        Manifests of the cohort (CSV or TOML); several are joined.
    config : path-like or mapping, optional
        A configuration's file, or its tables; keys that are not given have their defaults. Without
        it, the recipe of ``configs/train/recipe.toml``.
    out : path-like
        Folder of the run.
    callback : callable, optional
        Receives each event as a dictionary whose key ``"event"`` names it: ``prepared``,
        ``started``, ``stage``, ``step``, ``validating``, ``epoch``, ``saved``, ``warning`` or
        ``finished``. An exception in it saves and ends the training.
    data : path-like, optional
        Folder that paths in the manifests are relative to; each manifest's own without it.
    fold : int, optional
        Cross-validation: train on all folds but this one, from 0. Without it, a 70/30 split.
    use_all : bool, optional
        Train and validate on all scans and hold none out for a test.
    resume : bool, optional
        Continue the run in `out`.
    cache : path-like, optional
        Folder of prepared scans, which runs may share.
    max_minutes : float, optional
        Stop after this many minutes.
    init : path-like, optional
        Start from these weights.
    trained_on : str, optional
        Sentence for the model's card that describes the cohort.
    progress : bool, optional
        Whether to show a bar of tqdm, if it is installed.

    Returns
    -------
    TrainingSummary
        How the training ended, with the path of its model.

    Raises
    ------
    FileError
        If a manifest or configuration cannot be read, or a file cannot be written.
    OptionsError
        If the configuration has an unknown key or a value out of range.
    TrainingError
        If the cohort cannot be divided, the run cannot be resumed, or the loss is not finite.
    KeyboardInterrupt
        If Ctrl-C was pressed. The run is saved by then.
    """
    one = isinstance(manifest, (str, os.PathLike))
    manifests = [cast("PathLike", manifest)] if one else list(cast("Sequence[PathLike]", manifest))
    request = {
        "manifests": [os.fspath(path) for path in manifests],
        "data": _path(data),
        "config": _config(config),
        "out": os.fspath(out),
        "fold": fold,
        "all": use_all,
        "resume": resume,
        "cache": _path(cache),
        "max_minutes": max_minutes,
        "init": _path(init),
        "trained_on": trained_on,
    }
    with _events(callback, progress, "training") as told:
        text = _multirnet.train(json.dumps(request), told)
    return TrainingSummary(**json.loads(text))


def compare(
    config: PathLike | Mapping[str, Any],
    *,
    out: PathLike,
    manifest: PathLike | None = None,
    data: PathLike | None = None,
    figures: bool = True,
    callback: Callable[[Event], object] | None = None,
    progress: bool = False,
) -> Comparison:
    """Train and score several systems on one cohort.

    A second call keeps finished trainings and continues an interrupted one. The tables are the same
    however often the comparison was interrupted.

    Parameters
    ----------
    config : path-like or mapping
        The comparison's file, or its tables.
    out : path-like
        Folder of the comparison.
    manifest : path-like, optional
        Cohort manifest that replaces the configuration's cohort.
    data : path-like, optional
        Folder that paths in manifests are relative to; each manifest's own without it.
    figures : bool, optional
        Whether to draw the report's figures.
    callback : callable, optional
        Receives each event as a dictionary whose key ``"event"`` names it: ``phantoms``,
        ``left_out``, ``training``, ``scoring``, ``drawing``, and those of `train`.
    progress : bool, optional
        Whether to show a bar of tqdm, if it is installed.

    Returns
    -------
    Comparison
        Results and tables.

    Raises
    ------
    OptionsError
        If the configuration has an unknown key or a value out of range.
    TrainingError
        If the folder holds another comparison, or a training fails.
    KeyboardInterrupt
        If Ctrl-C was pressed. Everything done so far is saved.
    """
    request = {
        "config": _config(config),
        "out": os.fspath(out),
        "manifest": _path(manifest),
        "data": _path(data),
        "figures": figures,
    }
    with _events(callback, progress, "comparison") as told:
        text = _multirnet.compare(json.dumps(request), told)
    return Comparison(**json.loads(text))


def _path(path: PathLike | None) -> str | None:
    return None if path is None else os.fspath(path)


def _config(config: PathLike | Mapping[str, Any] | None) -> str | dict[str, Any] | None:
    if config is None or isinstance(config, (str, os.PathLike)):
        return _path(config)
    return dict(config)


@contextmanager
def _events(
    callback: Callable[[Event], object] | None, progress: bool, name: str
) -> Iterator[Callable[[str], object] | None]:
    """Make the function that the extension module calls with each event as JSON."""
    show: Callable[[Event], object] | None = None
    bar: Any = None
    if progress:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            pass
        else:
            bar = tqdm(desc=name, leave=False)

            def show(event: Event) -> None:
                total = event.get("total", event.get("steps"))
                if isinstance(total, int):
                    bar.total = total
                done = event.get("done", event.get("step"))
                if isinstance(done, int):
                    bar.n = done
                bar.set_postfix_str(str(event["event"]), refresh=True)

    def told(text: str) -> None:
        event = cast("Event", json.loads(text))
        if show is not None:
            show(event)
        if callback is not None:
            callback(event)

    try:
        yield None if show is None and callback is None else told
    finally:
        if bar is not None:
            bar.close()
