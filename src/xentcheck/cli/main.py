"""The command line. Start-up imports click and nothing else of weight; each command imports what it needs."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from errno import EBADF, EIO, ENOSPC, EPIPE
from importlib import import_module
from io import TextIOWrapper

import click

from xentcheck.errors import XentcheckError

from .early_exit import noticed_exit

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


COMMANDS = {
    "init": "Write a test of a function and a job that gates pull requests, and run it once.",
    "run": "Check implementations against the exact values.",
    "merge": "Put the shards of a run together.",
    "report": "Write report.html, report.md and report.json of a run file.",
    "table": "The largest errors of libraries side by side, each with the case that shows it.",
    "compare": "What changed between two versions, devices or machines.",
    "gate": "A run beside a baseline: red for what may not be merged, yellow for what moved.",
    "replay": "One case on one implementation: inputs, worst elements, exact steps.",
    "adapters": "What is installed: versions, devices, contracts and capabilities.",
    "fuzz": "Random cases; those that fail are saved, and come first the next time.",
    "grade": "The arithmetic that an implementation does: the strictest contract it meets.",
    "accuracy": "The largest errors that a directed search finds, with their inputs.",
    "audit": "What the tolerances of another test suite would accept: zeros, and wrong gradients.",
    "project": "Losses and gradient of one large problem, by random projections.",
    "faults": "Which check catches each of the planted faults first, and on which case.",
    "rule": "What a code like B20, a word like apart, or the id of a case means.",
    "explain": "Why dC/db = a - y: the chain rule, with your numbers.",
}
"""Each command, a module of its name in `commands`, and what it does; the module is imported when it is asked for."""


def command_named(name: str) -> click.Command:
    """The command of a name among COMMANDS, which imports its module."""
    found: click.Command = getattr(import_module(f"xentcheck.cli.commands.{name}"), name)
    return found


class Commands(click.Group):
    """The commands, each imported when it is used.

    Their arguments all name something: an empty one is a variable that is not set, and no default.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, or None."""
        return command_named(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of the commands, none of which is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises click.UsageError for an unknown command, and an argument or a value that is empty or blank."""
        for before, argument in zip(["", *args], args, strict=False):
            option, given, value = argument.partition("=")
            if argument.startswith("-") and given and not value.strip():
                raise click.UsageError(f"{option} is {value!r}, which names nothing")
            if not argument.strip():
                what = before if before.startswith("-") else "an argument"
                raise click.UsageError(f"{what} is {argument!r}, which names nothing")
        if not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.UsageError(f"unknown command {args[0]!r}; allowed: {', '.join(COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings=CONTEXT, invoke_without_command=True)
@click.version_option(package_name="xentcheck", prog_name="xentcheck")
@click.pass_context
def cli(ctx: click.Context) -> int:
    """Is a softmax cross-entropy right, is its gradient right, and how right, for its dtype?

    \b
    Why the gradient is a - y:  xentcheck explain
    Is my loss right:           xentcheck run --impl my_file:my_loss --framework torch
    Are PyTorch and JAX right:  xentcheck run
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        return 2
    return 0


def main() -> None:
    """Entry point: bad input is one line and exit code 2, never a traceback; nor is text that a console cannot show."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is found so far is kept
    with noticed_exit(_refuse):
        try:
            code = cli.main(standalone_mode=False)
            if sys.stdout:
                sys.stdout.flush()
        except XentcheckError as error:
            code = _refuse(str(error))
        except click.Abort:
            code = _refuse("interrupted")
        except click.ClickException as error:
            code = _refuse(error.format_message())
        except SystemExit as error:  # nothing of xentcheck's own: a run that does not end by itself is no green one
            unread = isinstance(error.__context__, BrokenPipeError)  # so rich ends where nobody reads any more
            if unread or type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):  # and so click
                code = 2
            else:
                code = _refuse(f"something that was imported called sys.exit({error.code!r})")
        except MemoryError:
            code = _refuse("there is not enough memory for this")
        except OSError as error:
            if error.errno not in (EBADF, EPIPE, ENOSPC, EIO):
                raise
            sys.stdout = None  # as Python has it where there is none; nothing is flushed then
            code = 2  # whoever reads the output has had enough of it, which `| head` need not be told
            if error.errno == EBADF:
                _refuse(f"its output was closed by something that it called: {error}")
            elif error.errno != EPIPE:
                _refuse(f"standard output cannot be written: {error.strerror}")
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(text: str) -> int:
    """Tell what is wrong on one line, whatever characters are in it; the exit code."""
    with suppress(OSError):
        click.echo("xentcheck: " + " ".join("".join(c if c.isprintable() else " " for c in text).split()), err=True)
    return 2
