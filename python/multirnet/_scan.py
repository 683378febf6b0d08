"""Scans, from files and from images in memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _images, _multirnet
from ._grid import Grid, matrix3, vector
from .errors import OptionsError
from .phantom import Phantom

if TYPE_CHECKING:
    import nibabel
    import SimpleITK

__all__ = ["Scan", "read"]


class Scan:
    """A scan in memory.

    `read` makes one of a file or folder, and `Scan.from_image` of an image in memory.

    Parameters
    ----------
    native : object
        The extension module's scan.
    """

    def __init__(self, native: _multirnet.Scan) -> None:
        self._native = native

    @classmethod
    def from_image(
        cls,
        image: object,
        *,
        affine: ArrayLike | None = None,
        spacing: ArrayLike | None = None,
        origin: ArrayLike | None = None,
        direction: ArrayLike | None = None,
        name: str = "array",
    ) -> Scan:
        """Make a scan of an image in memory. The values are copied.

        Parameters
        ----------
        image : array_like or SimpleITK.Image or nibabel.spatialimages.SpatialImage or Phantom
            Values in HU. An array is ``(z, y, x)`` and needs `affine` or `spacing`; the others
            know their place.
        affine : array_like, optional
            4 × 4 matrix from voxel indices ``(x, y, z)`` to RAS millimetres, as nibabel has it.
            Of a nibabel image the array is ``image.get_fdata().T``.
        spacing : array_like, optional
            Millimetres between voxel centres per array axis, ``(z, y, x)``.
        origin : array_like, optional
            LPS position in millimetres of the first voxel's centre, ``(x, y, z)``. Zero without it.
        direction : array_like, optional
            Unit LPS vectors along the array axes ``z``, ``y`` and ``x``. Without it the scan is
            axial: slices run upwards, rows backwards, columns to the patient's left.
        name : str, optional
            What results call the scan.

        Returns
        -------
        Scan
            The scan.

        Raises
        ------
        OptionsError
            If the array is not of three dimensions, or its place is missing or given twice.
        ScanError
            If the values or the place cannot be used.
        """
        values, grid = _place(image, affine, spacing, origin, direction)
        if values.dtype.kind not in "biuf":
            raise OptionsError(f"the scan holds {values.dtype} (give numbers in HU)", "options")
        plain = np.ascontiguousarray(values, dtype=np.float32)
        return cls(_multirnet.Scan.from_array(plain, name, grid.placed()))

    @property
    def array(self) -> NDArray[np.float32]:
        """The values in HU, ``(z, y, x)``, read-only. The first access copies them."""
        return self._native.array()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels per array axis, ``(z, y, x)``."""
        z, y, x = self._native.shape()
        return z, y, x

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""
        return Grid.from_placed(self._native.placed())

    @property
    def path(self) -> str:
        """The path as it was given, or the name of a scan that was not read."""
        return self._native.path()

    @property
    def format(self) -> str:
        """``"dicom"``, ``"nifti"``, ``"nrrd"``, ``"metaimage"`` or ``"memory"``."""
        return self._native.format()

    @property
    def series_uid(self) -> str | None:
        """Instance UID of the DICOM series."""
        return self._native.series_uid()

    @property
    def warnings(self) -> list[str]:
        """Warnings of the reader."""
        return self._native.warnings()

    def to_sitk(self) -> SimpleITK.Image:
        """Copy the scan to SimpleITK.

        Returns
        -------
        SimpleITK.Image
            The scan in HU.
        """
        return _images.to_sitk(self.array, self.grid)

    def to_nibabel(self) -> nibabel.Nifti1Image:
        """Copy the scan to nibabel.

        Returns
        -------
        nibabel.Nifti1Image
            The scan in HU.
        """
        return _images.to_nibabel(self.array, self.grid)

    def __repr__(self) -> str:
        """Name the scan with its size."""
        z, y, x = self.shape
        return f"<multirnet.Scan {self.path!r}: {self.format}, {z} × {y} × {x} voxels (z, y, x)>"


def read(
    path: str | os.PathLike[str], *, series: str | None = None, allow_irregular: bool = False
) -> Scan:
    """Read a scan.

    Parameters
    ----------
    path : path-like
        A DICOM folder, file or zip, or a NIfTI, NRRD or MetaImage file.
    series : str, optional
        The DICOM series: its UID, or its number in the listing, from 1.
    allow_irregular : bool, optional
        Whether to mend irregular DICOM series and warn, instead of refusing them.

    Returns
    -------
    Scan
        The scan in HU on its own grid.

    Raises
    ------
    FileError
        If there is nothing at `path`.
    ScanError
        If the scan cannot be read.
    """
    return Scan(_multirnet.read(path, series, allow_irregular))


def _place(
    image: object,
    affine: ArrayLike | None,
    spacing: ArrayLike | None,
    origin: ArrayLike | None,
    direction: ArrayLike | None,
) -> tuple[NDArray[Any], Grid]:
    """Find values and grid of an image."""
    given = [affine, spacing, origin, direction]
    own: tuple[NDArray[Any], Grid] | None = None
    if isinstance(image, Phantom):
        own = image.ct, image.grid
    elif isinstance(image, Scan):
        own = image.array, image.grid
    elif _images.is_sitk(image):
        own = _images.from_sitk(cast("Any", image))
    elif _images.is_nibabel(image):
        own = _images.from_nibabel(cast("Any", image))
    if own is not None:
        if any(g is not None for g in given):
            raise OptionsError(
                "the image knows its own place (leave out affine, spacing, origin and direction)",
                "options",
            )
        return own
    values = np.asanyarray(image)
    if values.ndim != 3:
        raise OptionsError(
            f"the array has {values.ndim} dimensions (give three: z, y, x)", "options"
        )
    if (affine is None) == (spacing is None):
        raise OptionsError("an array needs affine or spacing, and not both", "options")
    if affine is not None:
        if origin is not None or direction is not None:
            raise OptionsError("affine holds the origin and the direction already", "options")
        return values, Grid.from_affine(affine)
    axial = Grid((1.0, 1.0, 1.0))
    return values, Grid(
        vector(np.asarray(spacing).tolist(), "spacing"),
        axial.origin if origin is None else vector(np.asarray(origin).tolist(), "origin"),
        axial.direction
        if direction is None
        else matrix3(np.asarray(direction).tolist(), "direction"),
    )
