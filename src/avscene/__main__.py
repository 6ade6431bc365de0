"""`python -m avscene`, which launchers such as torchrun want."""

from avscene.cli.main import main

if __name__ == "__main__":
    main()
