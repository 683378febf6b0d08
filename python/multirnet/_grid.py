"""Where an array's voxels lie in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import OptionsError

__all__ = ["Grid"]

Vector = tuple[float, float, float]
Placed = tuple[Vector, Vector, tuple[Vector, Vector, Vector]]

# NIfTI's world runs to the right's opposite and to the front's opposite of LPS.
_RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Grid:
    """Place of an array's voxels in the patient.

    Parameters
    ----------
    spacing : tuple of float
        Millimetres between voxel centres per array axis, ``(z, y, x)``.
    origin : tuple of float
        LPS position in millimetres of the first voxel's centre, ``(x, y, z)``.
    direction : tuple of tuple of float
        Unit LPS vectors along the array axes ``z``, ``y`` and ``x``, each ``(x, y, z)``.

    See Also
    --------
    multirnet.Model.analyse : Takes the three as arguments of the same names.
    """

    spacing: Vector
    origin: Vector = (0.0, 0.0, 0.0)
    direction: tuple[Vector, Vector, Vector] = (
        (0.0, 0.0, 1.0),
        (0.0, 1.0, 0.0),
        (1.0, 0.0, 0.0),
    )

    @property
    def affine(self) -> NDArray[np.float64]:
        """4 × 4 matrix from voxel indices ``(x, y, z)`` to RAS millimetres, as in nibabel."""
        matrix = np.eye(4)
        for column, axis in enumerate((2, 1, 0)):
            matrix[:3, column] = np.asarray(self.direction[axis]) * self.spacing[axis]
        matrix[:3, 3] = self.origin
        return cast("NDArray[np.float64]", _RAS_LPS @ matrix)

    @classmethod
    def from_affine(cls, affine: ArrayLike) -> Grid:
        """Read a matrix as nibabel has it.

        Parameters
        ----------
        affine : array_like
            4 × 4 matrix from voxel indices ``(x, y, z)`` to RAS millimetres.

        Returns
        -------
        Grid
            The grid of the array ``(z, y, x)``.

        Raises
        ------
        OptionsError
            If the matrix is not 4 × 4, or a column is zero.
        """
        matrix = np.asarray(affine, dtype=np.float64)
        if matrix.shape != (4, 4):
            raise OptionsError(
                f"affine has the shape {matrix.shape} (give a 4 × 4 matrix)", "options"
            )
        lps = _RAS_LPS @ matrix
        columns = [lps[:3, column] for column in (2, 1, 0)]
        lengths = [float(np.linalg.norm(column)) for column in columns]
        if not all(np.isfinite(length) and length > 0 for length in lengths):
            raise OptionsError("a column of affine is zero or not finite", "options")
        return cls(
            vector(lengths, "spacing"),
            vector(lps[:3, 3], "origin"),
            matrix3([c / n for c, n in zip(columns, lengths)], "direction"),
        )

    def placed(self) -> Placed:
        """Return spacing, origin and direction, as the extension module takes them.

        Returns
        -------
        tuple
            The three fields.
        """
        return self.spacing, self.origin, self.direction

    @classmethod
    def from_placed(cls, placed: Placed) -> Grid:
        """Make a grid of what the extension module gives.

        Parameters
        ----------
        placed : tuple
            The three fields.

        Returns
        -------
        Grid
            The grid.
        """
        spacing, origin, direction = placed
        return cls(
            vector(spacing, "spacing"), vector(origin, "origin"), matrix3(direction, "direction")
        )


def vector(values: Sequence[Any] | NDArray[Any], name: str) -> Vector:
    """Check three numbers.

    Parameters
    ----------
    values : sequence of float
        The numbers.
    name : str
        The argument's name, for the message.

    Returns
    -------
    tuple of float
        The numbers.

    Raises
    ------
    OptionsError
        If there are not three numbers.
    """
    try:
        x, y, z = (float(v) for v in values)
    except (TypeError, ValueError):
        raise OptionsError(f"{name} is {values!r} (give three numbers)", "options") from None
    return x, y, z


def matrix3(values: Sequence[Any] | NDArray[Any], name: str) -> tuple[Vector, Vector, Vector]:
    """Check three vectors.

    Parameters
    ----------
    values : sequence of sequence of float
        The vectors.
    name : str
        The argument's name, for the message.

    Returns
    -------
    tuple of tuple of float
        The vectors.

    Raises
    ------
    OptionsError
        If there are not three vectors of three numbers.
    """
    try:
        a, b, c = values
    except (TypeError, ValueError):
        raise OptionsError(
            f"{name} is {values!r} (give three vectors, one for each array axis)", "options"
        ) from None
    return vector(a, name), vector(b, name), vector(c, name)
