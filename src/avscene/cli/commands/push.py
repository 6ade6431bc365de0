"""Command `push`: share a checkpoint on the Hugging Face hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from avscene.models.sharing.push import PushPlan


def push(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a checkpoint.")],
    repository: Annotated[str, typer.Argument(metavar="USER/REPO", help="Repository on the hub; made if need be.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be uploaded; uses no network.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Make a private repository.")] = False,
    license_id: Annotated[
        str | None,
        typer.Option("--license", metavar="ID", help="The hub's name of a licence for the card, such as cc-by-nc-4.0."),
    ] = None,
) -> None:
    """Share a checkpoint on the Hugging Face hub, with the token of HF_TOKEN; load it by --system hf://USER/REPO."""
    from avscene.cli.progress import byte_bar
    from avscene.models.sharing.push import plan_push
    from avscene.models.sharing.push import push as push_plan

    plan = plan_push(directory, repository, license_id)
    _print_plan(plan)
    if dry_run:
        print(f"dry run: nothing was uploaded to {plan.repo_id}")
        return
    with byte_bar() as stages:
        pushed = push_plan(plan, private=private, progress=stages)
    print(f"{pushed}: written; next: avscene classify VIDEO --system {pushed}")


def _print_plan(plan: "PushPlan") -> None:
    from avscene.cli.output.files import printable

    width = max(len(f"{file.size:,}") for file in plan.files)
    for file in plan.files:
        print(f"{file.sha256}  {file.size:>{width},} bytes  {file.path}")
    print(f"{len(plan.files)} files, {plan.size:,} bytes")
    for name in plan.left_out:
        print(f"not uploaded: {printable(name)}, a table that names recordings")
