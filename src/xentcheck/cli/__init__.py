"""The command line: its options, and a file for each command."""

from .main import cli, main

__all__ = ["cli", "main"]
