"""Command `doctor`: check the installation."""

import typer

from avscene.cli.options import Offline
from avscene.errors import WeightsError


def doctor(offline: Offline = False) -> None:
    """Check this installation: what is wrong and how to fix it, and which systems can classify or be trained here."""
    from avscene.inference.installation import check_installation

    broken = False
    for check in check_installation(offline=offline):
        mark = "ok " if check.fix is None else "BAD" if check.required else "-- "
        print(f"{mark} {check.name}: {check.status}")
        if check.fix is not None:
            print(f"      fix: {check.fix}")
            broken = broken or check.required
    raise typer.Exit(WeightsError.exit_code if broken else 0)
