"""Exceptions of the package.

Every exception is a `MultirnetError` and says what failed in its attributes. Subclasses exist for the
kinds that a program treats differently.
"""

from __future__ import annotations

__all__ = [
    "DeviceError",
    "FileError",
    "MismatchError",
    "ModelError",
    "MultirnetError",
    "OptionsError",
    "OutOfMemoryError",
    "ProcessError",
    "ScanError",
    "ScoringError",
    "StoppedError",
    "TrainingError",
]


class MultirnetError(Exception):
    """An error of the library.

    Parameters
    ----------
    message : str
        The whole message: path, reason, files and hint.
    kind : str
        The kind, by which a program decides what to do, e.g. ``"scan"``.
    reason : str, optional
        What is wrong, without path and hint.
    path : str, optional
        The file or folder that the error concerns.
    line : int, optional
        The line of that file, from 1.
    files : sequence of str, optional
        The offending files, if there are several.
    hint : str, optional
        What the user can do.

    Attributes
    ----------
    kind, reason, path, line, files, hint
        As above.
    """

    def __init__(
        self,
        message: str,
        kind: str = "internal",
        reason: str | None = None,
        path: str | None = None,
        line: int | None = None,
        files: tuple[str, ...] | list[str] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.reason = message if reason is None else reason
        self.path = path
        self.line = line
        self.files = tuple(files)
        self.hint = hint

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Let exceptions travel between processes with all attributes."""
        return type(self), (
            str(self),
            self.kind,
            self.reason,
            self.path,
            self.line,
            self.files,
            self.hint,
        )


class ScanError(MultirnetError, ValueError):
    """A scan, a mask or a grid cannot be used."""


class MismatchError(MultirnetError, ValueError):
    """Two inputs do not fit together: their grids, shapes or lengths differ."""


class ModelError(MultirnetError, ValueError):
    """A model cannot be found or used."""


class OptionsError(MultirnetError, ValueError):
    """An argument or a configuration is unknown or out of range."""


class ScoringError(MultirnetError, ValueError):
    """Values cannot be scored."""


class FileError(MultirnetError, OSError):
    """A file cannot be read or written."""

    def __str__(self) -> str:
        """Return the message and not a number of the operating system."""
        return str(self.args[0])


class OutOfMemoryError(MultirnetError, MemoryError):
    """The planned memory is over the limit of the options."""


class DeviceError(MultirnetError, RuntimeError):
    """The device cannot be used."""


class TrainingError(MultirnetError, RuntimeError):
    """A training or a study cannot be carried out."""


class StoppedError(MultirnetError, RuntimeError):
    """The work was stopped before its end."""


class ProcessError(MultirnetError, RuntimeError):
    """The process cannot run the library, for instance because it is a fork."""


_CLASSES: dict[str, type[MultirnetError]] = {
    "scan": ScanError,
    "geometry": ScanError,
    "mismatch": MismatchError,
    "malformed": FileError,
    "model": ModelError,
    "options": OptionsError,
    "config": OptionsError,
    "empty": ScoringError,
    "invalid": ScoringError,
    "scoring": ScoringError,
    "io": FileError,
    "write": FileError,
    "memory": OutOfMemoryError,
    "device": DeviceError,
    "training": TrainingError,
    "diverged": TrainingError,
    "resume": TrainingError,
    "leakage": TrainingError,
    "folder": TrainingError,
    "cohort": TrainingError,
    "interrupted": StoppedError,
    "process": ProcessError,
}


def from_parts(
    kind: str,
    message: str,
    reason: str,
    path: str | None,
    line: int | None,
    files: list[str],
    hint: str | None,
) -> MultirnetError:
    """Make the exception for a kind.

    Parameters
    ----------
    kind, message, reason, path, line, files, hint
        As for `MultirnetError`.

    Returns
    -------
    MultirnetError
        An instance of the kind's class.
    """
    return _CLASSES.get(kind, MultirnetError)(message, kind, reason, path, line, files, hint)
