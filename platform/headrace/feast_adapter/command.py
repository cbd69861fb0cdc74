"""headrace feast: Feast's own command line, in a process of its own."""

from __future__ import annotations


def main() -> None:
    """Run Feast's command line with the arguments of this process."""
    from feast.cli.cli import cli

    cli(prog_name="headrace feast")


if __name__ == "__main__":
    main()
