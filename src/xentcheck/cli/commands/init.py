"""`xentcheck init`: a test of a loss, a job that gates pull requests, and its first run as the baseline."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from xentcheck.adapters.base import Adapter
from xentcheck.adapters.spec import Spec, resolve, specs_of
from xentcheck.cli.options import dtype_option, jobs_of, jobs_option
from xentcheck.cli.request import RunRequest, execute_request
from xentcheck.cli.starter import JOBS, Starter
from xentcheck.errors import OutputError, UnavailableError
from xentcheck.records.paths import prepare_file, write_whole
from xentcheck.reports.baselines.baseline import baseline_of
from xentcheck.reports.formats.terminal import print_summary

GITLAB = Path(".gitlab-ci.yml")


@dataclass(frozen=True)
class InitRequest:
    """The arguments of `xentcheck init`."""

    spec: Spec
    ci: str
    dtypes: tuple[str, ...]
    jobs: int


def init_command(request: InitRequest) -> int:
    """Run the loss once, write what a project needs, and list it; the exit code is that of the run.

    Raises OutputError for a file that is there already or cannot be written, and whatever names no implementation.
    """
    adapter = resolve(request.spec)
    if missing := adapter.unavailable():
        raise UnavailableError(f"adapter {adapter.name}: {missing}")
    starter = Starter(request.spec, adapter, request.dtypes, _installed(request.spec), _own())
    files = starter.files(request.ci)
    for path in (*files, starter.baseline):
        if path.exists():
            raise OutputError(f"{path} exists, and is not overwritten; allowed: another name, or no such file")
        prepare_file(path)
    console = Console()
    run = execute_request(_run(request, adapter))
    print_summary(run.file, console)
    for path, text in files.items():
        write_whole(path, text)
    baseline_of([run.file]).save(starter.baseline)
    for path in (*files, starter.baseline):
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    if request.ci == "gitlab":
        console.print(_included(JOBS["gitlab"]), highlight=False, soft_wrap=True)
    console.print(f"the gate compares with {starter.baseline}", highlight=False, soft_wrap=True)
    if not run.ok:
        told = "the test fails until the loss is mended; the gate stays green, as its baseline has the same failures"
        console.print(told, highlight=False, soft_wrap=True)
    console.print(f"after a change that is meant: {starter.gate} --update", highlight=False, soft_wrap=True)
    return 0 if run.ok else 1


def _run(request: InitRequest, adapter: Adapter) -> RunRequest:
    """All of `quick`, on the CPU where there is one, as the runners of the job have no other device."""
    devices = ("cpu",) if "cpu" in adapter.devices() else ()
    return RunRequest((request.spec,), "quick", request.dtypes, devices, 0, request.jobs, None, None)


def _installed(spec: Spec) -> bool:
    """Whether Python finds the module from another folder, as pytest may have to."""
    code = "import sys; from importlib.util import find_spec; sys.exit(find_spec(sys.argv[1]) is None)"
    top = spec.name.partition(":")[0].partition(".")[0]
    with tempfile.TemporaryDirectory() as elsewhere:
        return subprocess.run([sys.executable, "-I", "-c", code, top], cwd=elsewhere, check=False).returncode == 0


def _own() -> str:
    """The words of pip that install the project in this folder and what it needs."""
    words = ["-r requirements.txt"] if Path("requirements.txt").is_file() else []
    return " ".join([*words, *(["."] if Path("pyproject.toml").is_file() or Path("setup.py").is_file() else [])])


def _included(job: Path) -> str:
    """Have GitLab read the job, or say how, where its file is somebody's own."""
    line = f"include: /{job.as_posix()}"
    if GITLAB.exists():
        return f"add to {GITLAB}: {line}"
    write_whole(GITLAB, f"{line}\n")
    return f"wrote {GITLAB}"


@click.command()
@click.argument("implementation", metavar="PKG.MOD:FN")
@click.option(
    "--framework",
    metavar="torch|jax|numpy|process",
    help="Language of the function; default: torch or jax, whichever the module imports; process: a command line.",
)
@click.option(
    "--ci", default="github", show_default=True, type=click.Choice([*JOBS, "none"]), help="Service whose job to write."
)
@dtype_option
@jobs_option
def init(implementation: str, framework: str | None, ci: str, dtypes: tuple[str, ...], jobs: str) -> int:
    """Write a test of the function, a job that gates pull requests, and its first run as the baseline.

    Nothing is overwritten. Exit code 0: all agreed; 1: a disagreement or an error; 2: bad input.
    """
    (spec,) = specs_of((), implementation, framework)
    return init_command(InitRequest(spec, ci, dtypes, jobs_of(jobs)))
