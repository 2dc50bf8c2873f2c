"""What tests on real data share: a command that must succeed."""

import pytest


@pytest.fixture
def atrous(atrous):
    """Run the command in this process; gives what it prints."""

    def run(*arguments):
        code, output, error = atrous(*arguments)
        assert code == 0, error
        return output

    return run
