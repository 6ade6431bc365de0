"""Command `demo`: run every stage on synthetic data."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.messages import CONTINUES, explain_interruption


def demo(output: Annotated[Path, typer.Option(help="Directory for everything.")] = Path("demo")) -> None:
    """Run every stage on synthetic data: build, train, evaluate, report, classify. Takes minutes, needs no network."""
    from avscene.cli.output.tables import report_rows_text
    from avscene.cli.output.timeline import timeline_text
    from avscene.cli.progress import stage_bars
    from avscene.outputs import check_output_directory
    from avscene.training.demo import run_demo

    check_output_directory(output, [])

    def so_far() -> str:
        finished = (output / "system").exists()
        return f"what is finished is in {output}; " + (f"remove {output} to start over" if finished else CONTINUES)

    with explain_interruption(so_far), stage_bars() as stages:
        result = run_demo(output, stages)
    print(report_rows_text(result.rows))
    print(f"\nA new recording, {result.prediction.source}:\n")
    print(timeline_text(result.prediction, colored=sys.stdout.isatty()))
    print(f"Report: {result.report}")
    print(f"Next:   avscene classify VIDEO --system {result.system}")
