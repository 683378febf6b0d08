"""Findings: what an analysis found, with its maps."""

from __future__ import annotations

import base64
import html
import json
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from . import _images, _multirnet
from ._grid import Grid
from .errors import OptionsError

if TYPE_CHECKING:
    import nibabel
    import SimpleITK

__all__ = ["Finding", "Involvement", "KindInvolvement", "SingleLesion", "ZoneInvolvement"]

MapName = Literal["lesions", "lungs", "probability", "heatmap"]


@dataclass(frozen=True)
class ZoneInvolvement:
    """Involvement of a lung or a zone.

    Parameters
    ----------
    name : str
        The region, such as ``"right upper"``.
    lung_ml : float
        Volume of the lung or zone in millilitres.
    lesion_ml : float
        Volume of lesion within it in millilitres.
    fraction : float
        Share of it that is lesion, 0 to 1.
    score : int
        0 without lesion, 1 below a quarter, 2 below a half, 3 below three quarters, else 4.
    """

    name: str
    lung_ml: float
    lesion_ml: float
    fraction: float
    score: int


@dataclass(frozen=True)
class Involvement:
    """Involvement of the lungs.

    Parameters
    ----------
    right, left, both : ZoneInvolvement
        The right lung, the left lung, and both.
    zones : tuple of ZoneInvolvement
        Right upper, middle and lower zone, then the left ones.
    severity_score : int
        Sum of the zones' scores, 0 to 24.
    """

    right: ZoneInvolvement
    left: ZoneInvolvement
    both: ZoneInvolvement
    zones: tuple[ZoneInvolvement, ...]
    severity_score: int


@dataclass(frozen=True)
class KindInvolvement:
    """Involvement of the lungs by one kind of lesion.

    Parameters
    ----------
    kind : str
        The kind, as the finding's file names it.
    lesion_ml : float
        Its volume within the lungs in millilitres.
    fraction, right_fraction, left_fraction : float
        Its share of both lungs, of the right one, and of the left one.
    """

    kind: str
    lesion_ml: float
    fraction: float
    right_fraction: float
    left_fraction: float


@dataclass(frozen=True)
class SingleLesion:
    """A connected lesion.

    Parameters
    ----------
    id : int
        Number in the list, from 1.
    kind : str
        ``"lesion"``, ``"ground_glass"``, ``"consolidation"`` or ``"mixed"``.
    ml : float
        Volume in millilitres.
    share_of_lungs : float
        Volume as a share of both lungs'.
    lung : str or None
        ``"right"`` or ``"left"``, the one that holds most of it.
    zone : int or None
        The zone that holds most of it, 1 to 6.
    mean_hu : float
        Mean radiodensity in HU.
    longest_mm : float
        Longest distance within one slice in millimetres.
    centre_voxel : tuple of int
        Voxel ``(z, y, x)`` next to its centre of mass.
    centre_lps_mm : tuple of float
        That voxel's place, LPS millimetres ``(x, y, z)``.
    """

    id: int
    kind: str
    ml: float
    share_of_lungs: float
    lung: str | None
    zone: int | None
    mean_hu: float
    longest_mm: float
    centre_voxel: tuple[int, int, int]
    centre_lps_mm: tuple[float, float, float]


class Finding:
    """What an analysis found.

    `Model.analyse` makes it. The maps are read-only arrays ``(z, y, x)`` on the scan's own grid, and
    every access gives the same array.

    Parameters
    ----------
    native : object
        The extension module's finding.
    """

    def __init__(self, native: _multirnet.Finding) -> None:
        self._native = native

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return self.to_dict()

    @property
    def diagnosis(self) -> str:
        """The most probable class: ``"normal"``, ``"cap"`` or ``"covid19"``."""
        return cast("str", self._facts["diagnosis"])

    @property
    def probabilities(self) -> dict[str, float]:
        """Probability of each class. They sum to 1."""
        return dict(self._facts["probabilities"])

    @property
    def involvement(self) -> Involvement:
        """Lesion and lung volumes, by lung and by zone."""
        facts = self._facts["involvement"]
        right, left, both = (ZoneInvolvement(**facts[part]) for part in ("right", "left", "both"))
        zones = tuple(ZoneInvolvement(**zone) for zone in facts["zones"])
        return Involvement(right, left, both, zones, int(facts["severity_score"]))

    @property
    def severity_score(self) -> int:
        """CT severity score, 0 to 24."""
        return self.involvement.severity_score

    @property
    def lesion_kinds(self) -> list[KindInvolvement]:
        """Involvement by kind of lesion. Empty if the model does not distinguish kinds."""
        return [KindInvolvement(**kind) for kind in self._facts.get("lesion_kinds", [])]

    @property
    def warnings(self) -> list[str]:
        """Doubts about the input or the result."""
        return list(self._facts["warnings"])

    @property
    def notice(self) -> str:
        """What every result says of its use."""
        return cast("str", self._facts["notice"])

    @property
    def validation_notice(self) -> str | None:
        """What to say before anything else of a model that was not validated on patients."""
        return self._native.validation_notice()

    @property
    def timings(self) -> dict[str, float]:
        """Seconds of each stage, in order."""
        return {timing["stage"]: timing["seconds"] for timing in self._facts["timings"]}

    @property
    def source(self) -> dict[str, Any]:
        """Where the scan came from."""
        return dict(self._facts["source"])

    @property
    def provenance(self) -> dict[str, Any]:
        """Program, model and options that made the result."""
        return dict(self._facts["provenance"])

    @property
    def grid(self) -> Grid:
        """Where the voxels of the scan and of all maps lie."""
        return Grid.from_placed(self._native.placed())

    @property
    def lungs(self) -> NDArray[np.uint8]:
        """1 right lung, 2 left lung."""
        return self._native.lungs()

    @property
    def lesions(self) -> NDArray[np.uint8]:
        """1 lesion, or 1 ground glass and 2 consolidation if the model distinguishes them."""
        return self._native.lesions()

    @property
    def probability(self) -> NDArray[np.float32]:
        """Probability of lesion, 0 to 1. The first access computes it on the scan's grid."""
        return self._native.probability()

    @property
    def heatmap(self) -> NDArray[np.float32] | None:
        """Grad-CAM of the class, 0 to 1; none if the options did not ask for it."""
        return self._native.heatmap()

    def single_lesions(self) -> list[SingleLesion]:
        """Measure the connected lesions.

        Returns
        -------
        list of SingleLesion
            Largest first, at most 500.

        Raises
        ------
        OptionsError
            If the finding does not hold its scan.
        """
        found = json.loads(self._native.single_lesions_json())
        return [
            SingleLesion(
                **{
                    **lesion,
                    "centre_voxel": tuple(lesion["centre_voxel"]),
                    "centre_lps_mm": tuple(lesion["centre_lps_mm"]),
                }
            )
            for lesion in found
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``finding.json`` holds.

        Returns
        -------
        dict
            A new dictionary at each call.
        """
        return cast("dict[str, Any]", json.loads(self._native.json()))

    def to_sitk(self, what: MapName = "lesions") -> SimpleITK.Image:
        """Copy a map to SimpleITK.

        Parameters
        ----------
        what : str, optional
            ``"lesions"``, ``"lungs"``, ``"probability"`` or ``"heatmap"``.

        Returns
        -------
        SimpleITK.Image
            The map with its place.

        Raises
        ------
        OptionsError
            If the finding has no such map.
        """
        return _images.to_sitk(self._map(what), self.grid)

    def to_nibabel(self, what: MapName = "lesions") -> nibabel.Nifti1Image:
        """Copy a map to nibabel.

        Parameters
        ----------
        what : str, optional
            ``"lesions"``, ``"lungs"``, ``"probability"`` or ``"heatmap"``.

        Returns
        -------
        nibabel.Nifti1Image
            The map with its place.

        Raises
        ------
        OptionsError
            If the finding has no such map.
        """
        return _images.to_nibabel(self._map(what), self.grid)

    def overview_png(self) -> bytes:
        """Draw the overview picture.

        Returns
        -------
        bytes
            A PNG file.

        Raises
        ------
        OptionsError
            If the finding does not hold its scan.
        """
        return self._native.overview_png()

    def write(
        self,
        folder: str | os.PathLike[str],
        *,
        name: str | None = None,
        heatmap_grid: Literal["own", "scan"] = "own",
    ) -> None:
        """Write what the command line's ``predict`` writes: maps, picture, page, ``finding.json``.

        Parameters
        ----------
        folder : path-like
            The folder, which appears whole or not at all.
        name : str, optional
            The scan's name on the page; the scan's path without it.
        heatmap_grid : {"own", "scan"}
            The grid of ``heatmap.nii.gz``: that of the network's view, which is much coarser than the
            scan, or the scan's.

        Raises
        ------
        FileError
            If a file cannot be written.
        OptionsError
            If the finding does not hold its scan, or there is no such grid.
        """
        shown = os.path.basename(self.source["path"]) if name is None else name
        self._native.write(folder, shown, heatmap_grid)

    def _map(self, what: str) -> NDArray[Any]:
        if what not in ("lesions", "lungs", "probability", "heatmap"):
            raise OptionsError(
                f"there is no map {what!r} (write lesions, lungs, probability or heatmap)", "options"
            )
        values = getattr(self, what)
        if values is None:
            raise OptionsError("the analysis made no heat map (set the option explain)", "options")
        return cast("NDArray[Any]", values)

    def _repr_html_(self) -> str:
        """Show the overview in a notebook."""
        if not self._native.has_scan():
            return f"<pre>{html.escape(repr(self))}</pre>"
        picture = base64.b64encode(self.overview_png()).decode("ascii")
        text = html.escape(f"{self!r} {self.notice}")
        return (
            f'<img alt="{text}" style="max-width: 100%" src="data:image/png;base64,{picture}">'
        )

    def __repr__(self) -> str:
        """Say involvement and class, and lead with the class only if it was validated on patients."""
        both = self.involvement.both
        measured = f"{both.lesion_ml:.1f} ml of lesion, {both.fraction:.1%} of the lungs"
        named = f"{self.diagnosis} {self.probabilities[self.diagnosis]:.1%}"
        parts = [named, measured] if self._native.leads_with_class() else [measured, named]
        notice = "" if self.validation_notice is None else f" {self.validation_notice}"
        return f"<multirnet.Finding {parts[0]}; {parts[1]}.{notice}>"
