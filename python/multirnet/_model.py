"""Models: loaded once, they analyse scans."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, cast

from numpy.typing import ArrayLike

from . import _multirnet
from ._finding import Finding
from ._masks import mask_on
from ._progress import Progress, watched
from ._scan import Scan, read
from .errors import OptionsError

__all__ = ["Model", "load_model", "models"]


class Model:
    """A loaded model.

    `load_model` makes one. Several threads may use one model at the same time, and a process may hold
    several models. After a fork neither works in the child; start processes with the method ``"spawn"``
    or ``"forkserver"``.

    Parameters
    ----------
    native : object
        The extension module's model.
    """

    def __init__(self, native: _multirnet.Model) -> None:
        self._native = native

    @property
    def name(self) -> str:
        """The model's name."""
        return self._native.name()

    @property
    def sha256(self) -> str:
        """SHA-256 of the model's file, hexadecimal."""
        return self._native.digest()

    @property
    def lesion_kinds(self) -> list[str]:
        """What the labels of a lesion map stand for, from label 1."""
        if self._native.lesion_channels() == 1:
            return ["lesion"]
        return ["ground_glass", "consolidation"]

    def card(self) -> dict[str, Any]:
        """Return the model's card.

        Returns
        -------
        dict
            Name, cohort, scores and limits.
        """
        return cast("dict[str, Any]", json.loads(self._native.card_json()))

    def config(self) -> dict[str, Any]:
        """Return the network's configuration.

        Returns
        -------
        dict
            The configuration.
        """
        return cast("dict[str, Any]", json.loads(self._native.config_json()))

    def options(self) -> dict[str, Any]:
        """Return the options of an analysis with the model's own values.

        Returns
        -------
        dict
            The options, some of which are tables of their own.
        """
        return cast("dict[str, Any]", json.loads(self._native.options_json()))

    def analyse(
        self,
        scan: object,
        *,
        affine: ArrayLike | None = None,
        spacing: ArrayLike | None = None,
        origin: ArrayLike | None = None,
        direction: ArrayLike | None = None,
        lungs: object | None = None,
        options: Mapping[str, Any] | None = None,
        name: str = "array",
        keep_scan: bool = True,
        progress: Progress = False,
    ) -> Finding:
        """Analyse a scan.

        The interpreter's lock is released meanwhile. Ctrl-C ends the analysis within 200 ms.

        Parameters
        ----------
        scan : path-like or Scan or array_like or SimpleITK.Image or nibabel image or Phantom
            A path that `multirnet.read` takes, or a scan in memory, in HU. An array is
            ``(z, y, x)`` and needs `affine` or `spacing`.
        affine, spacing, origin, direction : array_like, optional
            The array's place, as for `Scan.from_image`.
        lungs : array_like or SimpleITK.Image or nibabel image, optional
            Lung mask on the scan's grid that replaces the segmentation of the lungs: 1 right, 2 left.
        options : mapping, optional
            Changes of the model's options, e.g. ``{"pipeline": "windows", "threshold": 0.4}``.
        name : str, optional
            What results call a scan that has no path.
        keep_scan : bool, optional
            Whether the finding holds the scan. Pictures, single lesions and `Finding.write` need it;
            without it a finding takes four bytes a voxel less.
        progress : bool or callable, optional
            A function of the share that is done (0 to 1) and of the step's name. An exception in it
            ends the analysis. ``True`` shows a bar of tqdm, if it is installed.

        Returns
        -------
        Finding
            What was found, with its maps on the scan's own grid.

        Raises
        ------
        FileError
            If there is nothing at a path.
        ScanError
            If the scan cannot be read or is refused as an input.
        MismatchError
            If the lung mask does not lie on the scan's grid.
        OptionsError
            If an argument or option is unknown or out of range.
        OutOfMemoryError
            If the planned memory is over ``memory_limit_mib`` of the options.
        KeyboardInterrupt
            If Ctrl-C was pressed.
        """
        place = {"affine": affine, "spacing": spacing, "origin": origin, "direction": direction}
        if isinstance(scan, (str, os.PathLike, Scan)):
            if any(p is not None for p in place.values()):
                raise OptionsError(
                    "a file knows its own place (leave out affine, spacing, origin and direction)",
                    "options",
                )
            taken = scan if isinstance(scan, Scan) else read(scan)
        else:
            taken = Scan.from_image(scan, name=name, **place)
        mask = None if lungs is None else mask_on(lungs, "lungs", taken.grid)
        changes = json.dumps({} if options is None else dict(options))
        with watched(progress, os.path.basename(taken.path) or self.name) as callback:
            native = self._native.analyse(taken._native, mask, changes, keep_scan, callback)
        return Finding(native)

    def release(self) -> None:
        """Free the buffers that are kept for the next scan."""
        self._native.release()

    def __repr__(self) -> str:
        """Name the model with its digest."""
        return f"<multirnet.Model {self.name!r}, sha256 {self.sha256[:12]}…>"


def load_model(name_or_path: str | os.PathLike[str] | None = None) -> Model:
    """Load a model.

    Parameters
    ----------
    name_or_path : str or path-like, optional
        A name that `models` lists, or a path of a model's file or folder. Without it, the model that
        is part of the package.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    ModelError
        If there is no such model, or its file is damaged.
    """
    return Model(_multirnet.load_model(name_or_path))


def models() -> list[str]:
    """List the models that have a name.

    Returns
    -------
    list of str
        The names.
    """
    return _multirnet.models()
