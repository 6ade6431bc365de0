"""`python -m avscene`, which launchers such as torchrun want."""

from avscene.apps.cli import main

if __name__ == "__main__":
    main()
