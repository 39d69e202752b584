"""Bad input of each command in one line, with exit code 2, and no option that takes an empty text for its default."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from command import xentcheck

from xentcheck.cli.main import COMMANDS, cli, command_named

CASE = "ties.2x3.f64.index.plain.mean.up-one.contig.s0"
MINE = """
def zeros(logits, target): return 0.0
def ones(logits, target): return 1.0
number = 3
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with implementations of one's own."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "unsound.py").write_text("def f(:\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "future.toml").write_text("schema = 2\n")
    return tmp_path


BAD_INPUT = {
    "adapter": (["run", "--adapter", "foo"], "unknown adapter 'foo'; allowed: numpy, torch, jax"),
    "profile": (["run", "--profile", "x"], "unknown profile 'x'; allowed: quick, full, deep"),
    "dtype": (["run", "--dtype", "int8"], "dtype 'int8' is not judged; allowed: float64, float32"),
    "device": (["run", "--device", "tpu"], "no adapter has a device among tpu; allowed: cpu, cuda, gpu"),
    "jobs": (
        ["run", "-j", "none"],
        "Invalid value for -j: 'none'; allowed: a number of processes from 1 to 1000, or auto",
    ),
    "impl": (
        ["run", "--impl", "mine:zeros"],
        "framework= is needed, as neither torch nor jax is imported; allowed: torch, jax, numpy",
    ),
    "timeout": (["run", "--adapter", "numpy", "--timeout", "0"], "Invalid value for '--timeout': 0.0 is not in the"),
    "isolation": (["run", "--isolation", "jail"], "Invalid value for '--isolation': 'jail' is not one of 'process'"),
    "framework": (
        ["run", "--impl", "mine:zeros", "--framework", "x"],
        "unknown framework 'x'; allowed: torch, jax, numpy",
    ),
    "impl form": (
        ["run", "--impl", "mine", "--framework", "numpy"],
        "implementation 'mine' is not of the form package.module:function, as my_file:my_loss",
    ),
    "impl absent": (
        ["run", "--impl", "mine:absent", "--framework", "numpy"],
        "implementation 'mine:absent' cannot be imported: module 'mine' has no attribute 'absent'; allowed: zeros, ",
    ),
    "command": (["rn"], "unknown command 'rn'; allowed: init, run, merge, "),
    "impl missing": (
        ["run", "--impl", "nowhere:f", "--framework", "numpy"],
        "implementation 'nowhere:f' cannot be imported: No module named 'nowhere'",
    ),
    "impl no function": (
        ["run", "--impl", "mine:number", "--framework", "numpy"],
        "implementation 'mine:number' is of type int; allowed: a function or an adapter",
    ),
    "case": (["replay", "gaussian.5x3", "--adapter", "numpy"], "case id 'gaussian.5x3' has 2 fields; allowed: "),
    "family": (
        ["replay", CASE.replace("ties", "knots"), "--adapter", "numpy"],
        "unknown family 'knots' in a case; allowed: gaussian, ",
    ),
    "variant": (
        ["replay", CASE, "--adapter", "numpy", "--variant", "jit"],
        "adapter numpy has no variant 'jit'; allowed: eager",
    ),
    "no subject": (["replay", CASE], "replay needs one implementation: --adapter NAME, or --impl with --framework"),
    "run file": (["report", "absent.jsonl"], "run file absent.jsonl cannot be read: No such file or directory"),
    "comparison": (["compare", "absent.jsonl", "mine.py"], "run file absent.jsonl cannot be read: No such file or"),
    "foreign file": (["report", "mine.py"], "run file mine.py, line 1 is not JSON"),
    "output": (
        ["run", "--adapter", "numpy", "--out", "mine.py/run.jsonl"],
        "run file mine.py/run.jsonl cannot be written",
    ),
    "report folder": (
        ["run", "--adapter", "numpy", "--report", "mine.py/out"],
        "report folder mine.py/out cannot be written",
    ),
    "target": (["explain", "--target", "3"], "target"),
    "logits": (
        ["explain", "--logits", "a,b"],
        "Invalid value for --logits: 'a,b'; allowed: numbers separated by commas",
    ),
    "deviations": (
        ["run", "--adapter", "numpy", "--deviations", "absent.toml"],
        "deviation file absent.toml cannot be read: No such file or directory",
    ),
    "deviations of the future": (
        ["run", "--adapter", "numpy", "--deviations", "future.toml"],
        "deviation file future.toml has schema 2; allowed: 1 (written for another version)",
    ),
    "command line": (
        ["run", "--impl", "'unbalanced", "--framework", "process"],
        'command "\'unbalanced" is no command line: No closing quotation',
    ),
    "too large": (
        ["replay", "gaussian.999999999x10.f32.index.plain.mean.up-neg.contig.s0", "--adapter", "numpy"],
        "case gaussian.999999999x10.f32.index.plain.mean.up-neg.contig.s0 cannot be built: an array of it has 99999999",
    ),
    "no timeout": (
        ["run", "--adapter", "numpy", "--timeout", "nan"],
        "Invalid value for --timeout: nan; allowed: a ",
    ),
    "no name": (
        ["run", "--adapter", "numpy", "--save", ""],
        "--save is '', which names nothing",
    ),
    "no implementation": (["run", "--impl", ""], "--impl is '', which names nothing"),
    "leaves": (
        ["run", "--impl", "leaves:f", "--framework", "numpy", "--isolation", "none"],
        "implementation 'leaves:f' cannot be imported: SystemExit: 0",
    ),
    "leaves its process": (
        ["run", "--impl", "leaves:f", "--framework", "numpy"],
        "implementation 'leaves:f' cannot be imported: SystemExit: 0",
    ),
    "save": (["run", "--adapter", "numpy", "--save", "mine.py/x.jsonl"], "mine.py/x.jsonl cannot be written: "),
    "script": (["replay", CASE, "--adapter", "numpy", "--script", "mine.py/x.py"], "mine.py/x.py cannot be written: "),
    "syntax": (
        ["run", "--impl", "unsound:f", "--framework", "numpy"],
        "implementation 'unsound:f' cannot be imported: SyntaxError: ",
    ),
    "fuzz minutes": (
        ["fuzz", "--minutes", "0"],
        "Invalid value for '--minutes': 0.0 is not in the range 0<x<=1000000.0.",
    ),
    "fuzz forever": (["fuzz", "--minutes", "nan"], "Invalid value for --minutes: nan; allowed: a number of minutes"),
    "fuzz where": (
        ["fuzz", "--adapter", "numpy", "--saved", "mine.py/x.txt"],
        "mine.py/x.txt cannot be written: ",
    ),
    "repeats": (["run", "--adapter", "numpy", "--repeats", "2"], "--repeats goes with --save NAME: "),
    "fuzz saved": (["fuzz", "--adapter", "numpy", "--saved", "mine.py"], "saved cases mine.py, line 2: case id "),
    "no case": (
        ["run", "--case", "knots.*"],
        "no case matches 'knots.*'; allowed: a glob of some of the ",
    ),
    "museum": (["faults", "--framework", "mxnet"], "no faults are planted in 'mxnet'; allowed: numpy, torch, jax"),
    "faults profile": (["faults", "--profile", "slow"], "unknown profile 'slow'; allowed: quick, full, deep"),
    "faults output": (
        ["faults", "--framework", "numpy", "--profile", "quick", "--out", "mine.py/x.md"],
        "mine.py/x.md cannot be written",
    ),
    "project shape": (
        ["project", "numpy", "--shape", "8"],
        "Invalid value for --shape: '8'; allowed: N,C, two numbers",
    ),
    "project device": (
        ["project", "numpy", "--shape", "4,10", "--device", "tpu"],
        "adapter numpy has no device 'tpu'; allowed: cpu",
    ),
    "replay device": (
        ["replay", CASE, "--adapter", "numpy", "--device", "tpu"],
        "adapter numpy has no device 'tpu'; allowed: cpu",
    ),
    "one device of two": (
        ["run", "--adapter", "numpy", "--device", "cpu", "--device", "tpu"],
        "no adapter has a device among tpu; allowed: cpu",
    ),
    "project too large": (
        ["project", "numpy", "--shape", "99999999,99999999"],
        "1 rows of 99999999 classes at a time, 20 probes; allowed: 33554432 logits at a time",
    ),
    "project too many probes": (
        ["project", "numpy", "--shape", "4,10", "--probes", "999999999"],
        "1 rows of 10 classes at a time, 999999999 probes; allowed: 33554432 logits at a time",
    ),
    "project too many rows": (
        ["project", "numpy", "--shape", "99999999,9999", "--rows", "99999999"],
        "99999999 rows of 9999 classes at a time, 20 probes; allowed: 33554432 logits at a time",
    ),
    "audit too large": (
        ["audit", "--atol", "1", "--rtol", "0", "--shape", "99999999,99999999"],
        "shape is (99999999, 99999999); allowed: N,C, both from 1, C to 4000000",
    ),
    "audit nothing": (
        ["audit", "--atol", "1e-5", "--rtol", "0", "--shape", "5,1"],
        "the right gradient of 5x1 logits is 0: nothing to audit; allowed: 2 classes or more",
    ),
    "too wide a layer": (
        ["replay", "gaussian.5x10k99999999.f32.index.plain.mean.up-neg.contig.s0", "--adapter", "numpy"],
        "case gaussian.5x10k99999999.f32.index.plain.mean.up-neg.contig.s0 cannot be built: an array of it has 9999",
    ),
    "project nothing": (["project", "--shape", "8,8"], "project needs one implementation: ADAPTER, or --impl with"),
    "project dtype": (["project", "numpy", "--shape", "8,8", "--dtype", "float16"], "dtype 'float16' is too narrow"),
    "option": (["run", "--bogus"], "No such option '--bogus'."),
    "contract": (
        ["replay", CASE, "--adapter", "numpy", "--contract", "bfloat16=swift"],
        "--contract: unknown contract 'swift'; allowed: ",
    ),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_line_and_exit_code_2(name: str, here: Path) -> None:
    """What, where, what is allowed; no traceback."""
    arguments, text = BAD_INPUT[name]
    done = xentcheck(*arguments, cwd=here)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"xentcheck: {text}")


NAMING = [
    (name, param.opts[-1])
    for name, command in {name: command_named(name) for name in COMMANDS}.items()
    for param in command.params
    if isinstance(param, click.Option) and not param.is_flag
]


@pytest.mark.parametrize("text", ["", " ", "\t"])
@pytest.mark.parametrize(("command", "option"), NAMING)
def test_no_option_takes_an_empty_text_for_its_default(command: str, option: str, text: str) -> None:
    """As of a variable that is not set: every option of every command, also as one word, and every argument."""
    for words in ([option, text], *([[f"{option}={text}"]] if option.startswith("--") else [])):
        with pytest.raises(click.UsageError, match=f"^{re.escape(f'{option} is {text!r}, which names nothing')}$"):
            cli.main([command, *words], standalone_mode=False)
    with pytest.raises(click.UsageError, match=r"^an argument is '', which names nothing$"):
        cli.main([command, "x", ""], standalone_mode=False)
