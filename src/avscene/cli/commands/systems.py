"""Command `systems`: list the named systems."""


def systems() -> None:
    """List the systems, the modalities they need and whether their weights are on this machine."""
    from avscene.cli.output.tables import systems_text

    print(systems_text())
