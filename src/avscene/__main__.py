"""Run the command line as `python -m avscene`, for launchers such as torchrun."""

from avscene.cli.main import main

if __name__ == "__main__":
    main()
