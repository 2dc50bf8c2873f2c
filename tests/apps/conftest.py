"""What tests of the command share: running it in this process."""

import sys

import pytest

from atrous.apps.cli.main import main


@pytest.fixture
def atrous(monkeypatch, capsys):
    """Run the command in this process; gives exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["atrous", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        output = capsys.readouterr()
        return int(stop.value.code or 0), output.out, output.err

    return run
