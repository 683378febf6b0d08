"""Values that may be undefined or infinite, from and to the library's JSON."""

from __future__ import annotations

import json
import math
from typing import Any

_WORDS = {"undefined": None, "infinite": math.inf, "-infinite": -math.inf}


def load(text: str) -> Any:
    """Read JSON of the library.

    Parameters
    ----------
    text : str
        The text. Undefined and infinite values are words in it.

    Returns
    -------
    object
        The value, with ``None`` and infinities in the words' place.
    """
    return _plain(json.loads(text))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _WORDS.get(value, value) if isinstance(value, str) else value


def dump(value: Any) -> str:
    """Write JSON for the library.

    Parameters
    ----------
    value : object
        What `load` gave.

    Returns
    -------
    str
        The text.
    """
    return json.dumps(_worded(value))


def _worded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _worded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_worded(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "undefined" if math.isnan(value) else "infinite" if value > 0 else "-infinite"
    return value
