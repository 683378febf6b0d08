"""Progress: a function of the caller's, or a bar of tqdm."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = bool | Callable[[float, str], object]


@contextmanager
def watched(progress: Progress, name: str) -> Iterator[Callable[[str], object] | None]:
    """Make the function that the extension module calls.

    Parameters
    ----------
    progress : bool or callable
        A function of the share that is done, 0 to 1, and of the step's name; or ``True`` for a bar of
        tqdm, if it is installed.
    name : str
        What the bar shows.

    Yields
    ------
    callable or None
        Takes a step as JSON.
    """
    if callable(progress):
        function = progress

        def call(text: str) -> None:
            share, step = json.loads(text)
            function(float(share), str(step))

        yield call
        return
    if not progress:
        yield None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield None
        return
    form = "{desc}: {percentage:3.0f} % |{bar}| {elapsed}{postfix}"
    with tqdm(total=1.0, desc=name, bar_format=form, leave=False) as bar:

        def show(text: str) -> None:
            share, step = json.loads(text)
            bar.set_postfix_str(step, refresh=False)
            bar.update(max(0.0, float(share) - float(bar.n)))

        yield show
