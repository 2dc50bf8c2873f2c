"""`python -m atrous`: the same as the command `atrous`."""

from atrous.cli.main import main

if __name__ == "__main__":
    main()
