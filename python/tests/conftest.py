"""What the tests share: a model, a phantom and its finding."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import multirnet
import nibabel
import pytest
from multirnet.phantom import Phantom

ROOT = Path(__file__).resolve().parents[2]


def pytest_sessionstart() -> None:
    """Listen to SIGINT, which a shell makes its background commands ignore, with all that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def model() -> multirnet.Model:
    """Load the model of the package."""
    return multirnet.load_model()


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """Draw a small phantom with lesions of both kinds."""
    return multirnet.phantom.generate(seed=7, diagnosis="covid19", matrix=96)


@pytest.fixture(scope="session")
def finding(model: multirnet.Model, phantom: Phantom) -> multirnet.Finding:
    """Analyse the phantom."""
    return model.analyse(phantom, name="phantom")


@pytest.fixture(scope="session")
def nifti(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the phantom as nibabel does."""
    path = tmp_path_factory.mktemp("scans") / "scan.nii.gz"
    nibabel.save(phantom.to_nibabel(), path)
    return path


@pytest.fixture(scope="session")
def program() -> Callable[..., str]:
    """Run the command line, which the tests of Rust have built."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = target / "release" / "multirnet"
    if not path.exists():
        pytest.skip(f"{path} is not built")

    def run(*arguments: str | Path) -> str:
        words = [str(path), *map(str, arguments)]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    return run
