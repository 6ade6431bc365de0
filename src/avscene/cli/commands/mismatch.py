"""Command `mismatch`: detect recordings whose audio and video do not belong together."""

from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.options import Overwrite, Prior, one_of
from avscene.errors import UsageError


def mismatch(
    audio: Annotated[str, typer.Argument(metavar="AUDIO.tsv", help="Predictions of an audio model.")],
    video: Annotated[str, typer.Argument(metavar="VIDEO.tsv", help="Predictions of a video model.")],
    output: Annotated[Path, typer.Option(help="The scores (TSV); those of recordings and of spans go beside it.")],
    fit: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="AUDIO.tsv VIDEO.tsv", help="Fit the detector on these tables of other recordings."),
    ] = None,
    cross_fit: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Fit and evaluate on these tables; each pair by a detector of other folds of groups."
        ),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|SYSTEM",
            help="Use the detector of an earlier --json, or of a trained system: its directory, or hf://USER/REPO.",
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="LIST.tsv", help="Which audio is paired with which video: audio, video and optionally mismatch."
        ),
    ] = None,
    vadd: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="MANIPULATED.txt PRISTINE.txt", help="Pairs from the two published lists of VADD."),
    ] = None,
    classes: Annotated[str, typer.Option(help="all; or three: indoor, outdoor, vehicle for TAU's scenes.")] = "all",
    prior: Prior = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write metrics and detector to this file.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Detect whether the audio of each recording belongs to its video."""
    from avscene.cli.output.files import TextOutput, write_json
    from avscene.cli.output.mismatch import mismatch_text
    from avscene.inference.loading import load_mismatch_detector
    from avscene.mismatch.detector import ARCHIVE_PRIOR
    from avscene.mismatch.tables import detect_mismatch, score_paths, write_scores
    from avscene.mismatch.vadd import read_vadd
    from avscene.outputs import check_outputs
    from avscene.tables.naming import split_name

    three_classes = one_of("--classes", classes, ("all", "three")) == "three"
    if sum(source is not None for source in (fit, cross_fit, detector)) != 1:
        raise UsageError(
            "a fitted detector is needed: give one of --fit AUDIO.tsv VIDEO.tsv, --cross-fit N and --detector"
        )
    if pairs is not None and vadd is not None:
        raise UsageError("--pairs and --vadd are two sources of pairs; give one of them")
    read = [split_name(table)[1] for table in (audio, video, *(fit or ()))]
    path = None if detector is None else Path(detector)
    check_outputs([*score_paths(output), json], [*read, path, pairs, *(vadd or ())], overwrite=overwrite)
    result = detect_mismatch(
        audio,
        video,
        fit=fit,
        cross_fit=cross_fit,
        detector=path if path is None or path.is_file() else load_mismatch_detector(str(detector)),
        pairs=read_vadd(*vadd) if vadd is not None else pairs,
        three_classes=three_classes,
        prior=ARCHIVE_PRIOR if prior is None else prior,
    )
    written = write_scores(result, output)
    if json is not None:
        write_json(json, result.to_dict())
    with TextOutput(None) as out:
        if result.cross_fitted is not None:
            out.write(result.cross_fitted.describe() + "\n")
        out.write(mismatch_text(result.metrics) + "\n")
    for path in written:
        print(f"{path}: written")
