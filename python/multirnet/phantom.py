"""Synthetic chest CT with known lungs, lesions and class.

Phantoms are drawn by a program and not taken from patients. They show that software works and say
nothing about patients.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from . import _images, _multirnet
from ._grid import Grid
from ._progress import Progress, watched

if TYPE_CHECKING:
    import nibabel
    import SimpleITK

__all__ = ["Phantom", "cohort", "generate"]


class Phantom:
    """A synthetic scan with its truth. All arrays are read-only.

    Parameters
    ----------
    native : object
        The extension module's phantom.
    """

    def __init__(self, native: _multirnet.Phantom) -> None:
        self._native = native

    @property
    def ct(self) -> NDArray[np.float32]:
        """The scan in whole HU, ``(z, y, x)``."""
        return self._native.ct()

    @property
    def lungs(self) -> NDArray[np.uint8]:
        """1 right lung, 2 left lung."""
        return self._native.lungs()

    @property
    def lesions(self) -> NDArray[np.uint8]:
        """1 ground glass, 2 consolidation."""
        return self._native.lesions()

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""
        return Grid.from_placed(self._native.placed())

    @property
    def diagnosis(self) -> str:
        """The class: ``"normal"``, ``"cap"`` or ``"covid19"``."""
        return self._native.diagnosis()

    @property
    def notes(self) -> list[str]:
        """What the phantom has, one line each."""
        return self._native.notes()

    def config(self) -> dict[str, Any]:
        """Return everything that makes the phantom.

        Returns
        -------
        dict
            The configuration, which `generate` takes.
        """
        return cast("dict[str, Any]", json.loads(self._native.config_json()))

    def to_sitk(self) -> SimpleITK.Image:
        """Copy the scan to SimpleITK.

        Returns
        -------
        SimpleITK.Image
            The scan in HU.
        """
        return _images.to_sitk(self.ct, self.grid)

    def to_nibabel(self) -> nibabel.Nifti1Image:
        """Copy the scan to nibabel.

        Returns
        -------
        nibabel.Nifti1Image
            The scan in HU.
        """
        return _images.to_nibabel(self.ct, self.grid)

    def __repr__(self) -> str:
        """Name the phantom with its size."""
        z, y, x = self.ct.shape
        return f"<multirnet.phantom.Phantom: {self.diagnosis}, {z} × {y} × {x} voxels (z, y, x)>"


def generate(
    seed: int = 0,
    diagnosis: str = "covid19",
    matrix: int = 256,
    *,
    slices: int | None = None,
    config: Mapping[str, Any] | None = None,
) -> Phantom:
    """Draw a phantom.

    Parameters
    ----------
    seed : int, optional
        Decides everything about the scan. The same seed gives the same voxels.
    diagnosis : str, optional
        ``"normal"``, ``"cap"`` or ``"covid19"``.
    matrix : int, optional
        Voxels along ``x`` and ``y``, 96 to 1024.
    slices : int, optional
        Number of slices, which span the same height.
    config : mapping, optional
        A whole configuration, as `Phantom.config` gives it, instead of seed, class and matrix.

    Returns
    -------
    Phantom
        The phantom.

    Raises
    ------
    OptionsError
        If an argument is out of range.
    """
    text = None if config is None else json.dumps(dict(config))
    return Phantom(_multirnet.phantom(seed, json.dumps(diagnosis), matrix, slices, text))


def cohort(
    folder: str | os.PathLike[str],
    *,
    per_class: int = 10,
    seed: int = 0,
    matrix: int = 256,
    progress: Progress = False,
) -> str:
    """Make a cohort of phantoms with its manifest. Scans that exist already are kept.

    Parameters
    ----------
    folder : path-like
        The folder of the cohort.
    per_class : int, optional
        Scans of each class.
    seed : int, optional
        The cohort's seed. Cohorts of different seeds share no scan.
    matrix : int, optional
        Voxels along ``x`` and ``y``, 96 to 1024.
    progress : bool or callable, optional
        As for `multirnet.Model.analyse`.

    Returns
    -------
    str
        Path of the manifest, ``cohort.csv``.
    """
    with watched(progress, "phantoms") as callback:
        made = _multirnet.phantom_cohort(folder, per_class, seed, matrix, callback)
    return os.fspath(made)


