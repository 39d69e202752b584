"""Adapters of other packages: found by their entry point, and refused with one line if they fail."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from xentcheck import adapters
from xentcheck.cli.main import cli
from xentcheck.errors import AdapterError

GUIDE = Path(__file__).parents[2] / "docs" / "write-an-adapter.md"


def install(folder: Path, module: str, source: str, points: dict[str, str]) -> None:
    """A package as pip would leave it: its module, and metadata with entry points."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = "\n".join(f"{name} = {value}" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[xentcheck.adapters]\n{lines}\n")


def test_the_guides_adapter_is_found_and_agrees(tmp_path: Path) -> None:
    """The two files of the guide as they stand, in a fresh process."""
    pytest.importorskip("optax")
    if not GUIDE.is_file():
        pytest.skip("the tests lie outside the repository: there is no guide")
    source, project = re.findall(r"```\w+\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    points = tomllib.loads(project)["project"]["entry-points"]["xentcheck.adapters"]
    install(tmp_path, "xentcheck_optax", source, points)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from xentcheck.cli.main import main; main()"
    command = ["run", "--adapter", "optax", "--dtype", "float32", "--case", "*.5x10.f32.index.*"]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "grade of optax jit cpu float32: fused-lse (judged by fused-lse)" in done.stdout
    assert re.search(r"agreed: [1-9]\d* of", done.stdout)


SOURCE = """
from xentcheck.adapters import from_numpy
made = from_numpy(print, name="print")
def make(): return made
def fails(): raise RuntimeError("no device")
def leaves(): raise SystemExit(0)
number = 3
def none(): return None
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with good and bad entry points."""
    names = {
        "made": "made",
        "make": "make",
        "fails": "fails",
        "leaves": "leaves",
        "number": "number",
        "none": "none",
        "gone": "gone",
    }
    points = {name: f"plugged_in:{attribute}" for name, attribute in names.items()}
    install(tmp_path, "plugged_in", SOURCE, {**points, "numpy": "plugged_in:fails"})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "plugged_in", raising=False)


@pytest.mark.usefixtures("plugins")
def test_an_adapter_or_what_makes_one_is_an_entry_point() -> None:
    """Under the name of the entry point; built-in names stay built-in."""
    assert {"made", "make"} <= set(adapters.names())
    assert adapters.names()[:3] == adapters.built_in()
    for name in ("made", "make"):
        assert adapters.get(name).name == name
        assert adapters.get(name).command == f"--adapter {name}"
    assert type(adapters.get("numpy")).__name__ == "NumpyAdapter"


@pytest.mark.usefixtures("plugins")
def test_one_that_fails_does_not_hide_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    """`xentcheck adapters` lists all of them, and says what is wrong; nothing is loaded to know what is built in."""
    assert cli.main(["adapters"], standalone_mode=False) == 1
    out = capsys.readouterr().out
    assert "RuntimeError: no device" in " ".join(out.split())
    assert " make " in out
    assert set(adapters.available()) <= set(adapters.built_in())


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", r"^adapter 'fails' of plugged_in:fails fails: RuntimeError: no device$"),
        ("leaves", r"^adapter 'leaves' of plugged_in:leaves fails: SystemExit: 0$"),
        ("gone", r"^adapter 'gone' of plugged_in:gone fails: AttributeError: "),
        ("number", r"^adapter 'number' of plugged_in:number fails: TypeError: "),
        ("none", r"^adapter 'none' of plugged_in:none is of type NoneType; allowed: an Adapter$"),
        (
            "other",
            r"^unknown adapter 'other'; allowed: numpy, torch, jax, fails, gone, leaves, made, make, none, number$",
        ),
    ],
)
def test_what_is_no_adapter_is_refused(name: str, message: str) -> None:
    """One line, which names the entry point."""
    with pytest.raises(AdapterError, match=message):
        adapters.get(name)
