"""Every public name has a docstring in numpydoc's form, and its examples are right."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import multirnet
import pytest
from conftest import ROOT
from numpydoc.validate import validate

# Not demanded: examples and references for every function, a summary of one line, a full stop at the end
# of the list of what a method returns, and sections that a constructor shares with its class.
LEFT_OUT = {"EX01", "SA01", "ES01", "GL01", "GL02", "GL08", "SS06", "PR09", "RT05", "RT02", "SA04"}


def modules() -> list[ModuleType]:
    """Import every module of the package but the extension."""
    found = pkgutil.walk_packages(multirnet.__path__, "multirnet.")
    names = ["multirnet", *(m.name for m in found if not m.name.endswith("._multirnet"))]
    return [importlib.import_module(name) for name in names]


def public_names() -> list[str]:
    """List what the public modules export, with the methods of classes."""
    names = []
    for module in (multirnet, multirnet.metrics, multirnet.phantom, multirnet.errors):
        for name in module.__all__:
            item = getattr(module, name)
            if inspect.isfunction(item):
                names.append(f"{module.__name__}.{name}")
            elif inspect.isclass(item):
                names.append(f"{module.__name__}.{name}")
                own = [m for m in vars(item) if not m.startswith("_")]
                fields = getattr(item, "__dataclass_fields__", {})
                names += [f"{module.__name__}.{name}.{m}" for m in own if m not in fields]
    return sorted(set(names))


@pytest.mark.parametrize("name", public_names())
def test_a_docstring_has_the_form_of_numpydoc(name: str) -> None:
    # Subclasses of the package's exception have its constructor.
    is_subclass = name.startswith("multirnet.errors.") and not name.endswith(".MultirnetError")
    left_out = LEFT_OUT | {"PR01"} if is_subclass else LEFT_OUT
    problems = [(code, text) for code, text in validate(name)["errors"] if code not in left_out]
    assert not problems


def test_every_name_has_a_docstring() -> None:
    for name in public_names():
        item: object = multirnet
        for part in name.split(".")[1:]:
            item = getattr(item, part)
        assert inspect.getdoc(item), name


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.__name__)
def test_the_examples_are_right(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.failed == 0


def test_what_is_exported_is_there() -> None:
    for module in modules():
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), (module.__name__, name)


def blocks() -> list[str]:
    """Find the Python code of the guide."""
    text = (ROOT / "docs" / "python.md").read_text()
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("code", blocks(), ids=range(len(blocks())))
def test_the_code_of_the_guide_runs(
    code: str, nifti: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(nifti.parent)
    exec(compile(code, "docs/python.md", "exec"), {"__name__": "guide"})
