"""Images of other libraries: SimpleITK and nibabel.

Neither library is imported before somebody gives or asks for one of its images.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._grid import Grid, matrix3, vector
from .errors import OptionsError

if TYPE_CHECKING:
    import nibabel
    import SimpleITK


def is_sitk(image: object) -> bool:
    """Tell whether an object is an image of SimpleITK.

    Parameters
    ----------
    image : object
        Anything.

    Returns
    -------
    bool
        Whether it is one.
    """
    module = sys.modules.get("SimpleITK")
    return module is not None and isinstance(image, module.Image)


def is_nibabel(image: object) -> bool:
    """Tell whether an object is an image of nibabel with an affine.

    Parameters
    ----------
    image : object
        Anything.

    Returns
    -------
    bool
        Whether it is one.
    """
    module = sys.modules.get("nibabel")
    return module is not None and isinstance(image, module.spatialimages.SpatialImage)


def from_sitk(image: SimpleITK.Image) -> tuple[NDArray[Any], Grid]:
    """Read an image of SimpleITK.

    Parameters
    ----------
    image : SimpleITK.Image
        An image of three dimensions with one value a voxel.

    Returns
    -------
    values : numpy.ndarray
        A view of the values, ``(z, y, x)``.
    grid : Grid
        Where they lie.

    Raises
    ------
    OptionsError
        If the image has other dimensions or several values a voxel.
    """
    import SimpleITK

    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise OptionsError(
            f"the image has {image.GetDimension()} dimensions and "
            f"{image.GetNumberOfComponentsPerPixel()} values a voxel (give three dimensions and one)",
            "options",
        )
    # ITK's matrix has the axes x, y, z in its columns.
    columns = np.asarray(image.GetDirection()).reshape(3, 3).T
    grid = Grid(
        vector(image.GetSpacing()[::-1], "spacing"),
        vector(image.GetOrigin(), "origin"),
        matrix3(columns[::-1], "direction"),
    )
    return SimpleITK.GetArrayViewFromImage(image), grid


def from_nibabel(image: nibabel.spatialimages.SpatialImage) -> tuple[NDArray[Any], Grid]:
    """Read an image of nibabel.

    Parameters
    ----------
    image : nibabel.spatialimages.SpatialImage
        An image of three dimensions.

    Returns
    -------
    values : numpy.ndarray
        The values, ``(z, y, x)``.
    grid : Grid
        Where they lie.

    Raises
    ------
    OptionsError
        If the image has other dimensions.
    """
    if len(image.shape) != 3:
        raise OptionsError(
            f"the image has {len(image.shape)} dimensions (give three)", "options"
        )
    return np.asanyarray(image.dataobj).T, Grid.from_affine(image.affine)


def to_sitk(values: NDArray[Any], grid: Grid) -> SimpleITK.Image:
    """Copy an array to an image of SimpleITK.

    Parameters
    ----------
    values : numpy.ndarray
        The values, ``(z, y, x)``.
    grid : Grid
        Where they lie.

    Returns
    -------
    SimpleITK.Image
        The image.
    """
    import SimpleITK

    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing(grid.spacing[::-1])
    image.SetOrigin(grid.origin)
    image.SetDirection(np.asarray(grid.direction[::-1]).T.ravel().tolist())
    return image


def to_nibabel(values: NDArray[Any], grid: Grid) -> nibabel.Nifti1Image:
    """Copy an array to a NIfTI image of nibabel.

    Parameters
    ----------
    values : numpy.ndarray
        The values, ``(z, y, x)``.
    grid : Grid
        Where they lie.

    Returns
    -------
    nibabel.Nifti1Image
        The image.
    """
    import nibabel

    image = nibabel.Nifti1Image(values.T.copy(), grid.affine)
    image.header.set_xyzt_units("mm")
    return image
