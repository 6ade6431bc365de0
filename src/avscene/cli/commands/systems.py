"""Command `systems`: list the named systems."""

from typing import Annotated

import typer


def systems(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list, for programs.")] = False,
) -> None:
    """List the systems: the modalities they need, whether their weights are here, and whether they must be trained."""
    import json

    from avscene.cli.output.tables import systems_json, systems_text

    print(json.dumps(systems_json(), indent=2) if as_json else systems_text())
