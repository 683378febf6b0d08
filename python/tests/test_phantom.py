"""Phantoms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import multirnet
import nibabel
import numpy as np
import pytest
from multirnet.errors import OptionsError
from multirnet.phantom import Phantom


def test_a_phantom_is_the_one_of_the_command_line(
    phantom: Phantom, tmp_path: Path, program: Callable[..., str]
) -> None:
    words = "phantom one --class covid19 --seed 7 --matrix 96 -o".split()
    program(*words, tmp_path / "phantom")
    for name in ("ct", "lungs", "lesions"):
        image = nibabel.Nifti1Image.from_filename(tmp_path / "phantom" / f"{name}.nii.gz")
        assert np.array_equal(np.asanyarray(image.dataobj).T, getattr(phantom, name))
        assert np.allclose(image.affine, phantom.grid.affine, atol=1e-3)


def test_a_configuration_gives_the_same_phantom_again(phantom: Phantom) -> None:
    again = multirnet.phantom.generate(config=phantom.config())
    assert np.array_equal(again.ct, phantom.ct)
    assert (again.diagnosis, again.notes) == ("covid19", phantom.notes)
    assert not again.ct.flags.writeable
    fewer = multirnet.phantom.generate(7, "covid19", 96, slices=24)
    assert fewer.ct.shape == (24, 96, 96)


def test_unusable_arguments_are_refused() -> None:
    wrong: list[dict[str, Any]] = [{"matrix": 8}, {"diagnosis": "flu"}, {"config": {"seed": 1}}]
    for arguments in wrong:
        with pytest.raises(OptionsError):
            multirnet.phantom.generate(**arguments)
