"""The wheel holds xentcheck and nothing else, with its data files and honest metadata."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "src", "reference", "adapters", "reports", "tests")

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").is_file(), reason="the tests lie outside the repository: there is nothing to build"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from a copy of the tree, with a run's output lying in reports/out."""
    copy = tmp_path_factory.mktemp("tree")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "out"))
        else:
            shutil.copy(source, copy / part)
    (copy / "reports" / "out").mkdir()
    (copy / "reports" / "out" / "run.jsonl").write_text("{}\n")
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def test_only_xentcheck_is_installed(wheel: zipfile.ZipFile) -> None:
    """Nothing lands at the top of site-packages but the package and its metadata."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"xentcheck"}
    assert len(tops) == 2


def test_every_module_and_data_file_is_there(wheel: zipfile.ZipFile) -> None:
    """The five folders arrive under one namespace, with type markers, deviations, templates and tables."""
    names = set(wheel.namelist())
    expected = {"xentcheck/adapters/deviations.toml"}
    expected |= {
        f"xentcheck/reports/formats/templates/{path.name}" for path in (ROOT / "reports/formats/templates").iterdir()
    }
    for folder, target in (
        ("src/xentcheck", ""),
        ("reference", "reference/"),
        ("adapters", "adapters/"),
        ("reports", "reports/"),
        ("tests/museum", "museum/"),
    ):
        files = [path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*.py")]
        expected |= {f"xentcheck/{target}{path.as_posix()}" for path in files}
        expected.add(f"xentcheck/{target}py.typed")
    expected |= {f"xentcheck/records/{name}.toml" for name in ("rules", "glossary")}
    expected |= {f"xentcheck/cli/templates/{name}.yml" for name in ("github", "gitlab")}
    page = ROOT / "src/xentcheck/studies/explain/page"
    expected |= {f"xentcheck/studies/explain/page/{path.name}" for path in page.iterdir()}
    expected |= {f"xentcheck/museum/{path.name}" for path in (ROOT / "tests" / "museum").glob("*.json")}
    found = {name for name in names if name.startswith("xentcheck/")}
    assert found == expected


def metadata_of(wheel: zipfile.ZipFile) -> tuple[Message, list[Requirement]]:
    """The metadata of a wheel, and its requirements, of which there are some."""
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = message_from_string(wheel.read(name).decode())
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist") or []]
    assert requirements
    return metadata, requirements


def test_no_framework_is_a_hard_dependency(wheel: zipfile.ZipFile) -> None:
    """Without extras only NumPy and the command line's libraries are installed."""
    _, requirements = metadata_of(wheel)
    assert {r.name for r in requirements if r.marker is None} == {"numpy", "ml_dtypes", "click", "rich"}


def test_metadata_pins_nothing(wheel: zipfile.ZipFile) -> None:
    """Requirements have a lower bound only, Python is 3.11 or newer, and the licence travels along."""
    metadata, requirements = metadata_of(wheel)
    assert not [str(r) for r in requirements if {s.operator for s in r.specifier} - {">="}]
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    extras = {"torch", "jax", "report", "fuzz", "dask", "fast", "parquet", "all"}
    assert set(metadata.get_all("Provides-Extra") or []) == extras
