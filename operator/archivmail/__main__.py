"""`python -m archivmail`: the same as the `archivmail` command."""

from archivmail.cli.main import main

if __name__ == "__main__":
    main()
