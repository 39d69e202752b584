"""`python -m xentcheck`: the command line."""

from xentcheck.cli.main import main

if __name__ == "__main__":
    main()
