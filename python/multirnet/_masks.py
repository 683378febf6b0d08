"""Masks that a caller gives."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _images
from ._grid import Grid
from .errors import MismatchError, OptionsError


def mask_on(mask: object, name: str, grid: Grid) -> NDArray[np.uint8]:
    """Read a mask that lies on a scan's grid.

    Parameters
    ----------
    mask : array_like or SimpleITK.Image or nibabel image
        The mask. The place of an array is not known and taken for right.
    name : str
        The argument's name, for the message.
    grid : Grid
        The scan's grid.

    Returns
    -------
    numpy.ndarray
        The mask in C order.

    Raises
    ------
    OptionsError
        If the mask has other values than labels.
    MismatchError
        If it lies elsewhere.
    """
    own: Grid | None = None
    if _images.is_sitk(mask):
        values, own = _images.from_sitk(cast("Any", mask))
    elif _images.is_nibabel(mask):
        values, own = _images.from_nibabel(cast("Any", mask))
    else:
        values = np.asanyarray(mask)
    if own is not None and not np.allclose(own.affine, grid.affine, rtol=0, atol=0.01):
        raise MismatchError(
            f"{name} is not on the scan's grid (resample it onto the scan first)", "mismatch"
        )
    return labels(values, name)


def labels(values: ArrayLike, name: str) -> NDArray[np.uint8]:
    """Check a mask.

    Parameters
    ----------
    values : array_like
        Booleans or whole numbers from 0 to 255, ``(z, y, x)``.
    name : str
        The argument's name, for the message.

    Returns
    -------
    numpy.ndarray
        The mask in C order.

    Raises
    ------
    OptionsError
        If the mask has other values or dimensions.
    """
    array = np.asanyarray(values)
    if array.ndim != 3:
        raise OptionsError(f"{name} has {array.ndim} dimensions (give three: z, y, x)", "options")
    if array.dtype not in (np.bool_, np.uint8):
        if array.dtype.kind not in "iuf":
            raise OptionsError(f"{name} holds {array.dtype} (give booleans or labels)", "options")
        as_labels = array.astype(np.uint8, casting="unsafe")
        if not np.array_equal(as_labels, array):
            raise OptionsError(f"{name} has values that are not whole numbers from 0 to 255", "options")
        array = as_labels
    return np.ascontiguousarray(array, dtype=np.uint8)
