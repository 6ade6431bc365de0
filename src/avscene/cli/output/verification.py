"""Format what `data verify` found as text."""

from pathlib import Path

from avscene.cli.output.files import printable
from avscene.datasets.tau import archives
from avscene.datasets.verify import GOOD, Verification

MAX_PROBLEMS = 20  # listed; further ones are only counted


def verification_text(directory: Path, found: Verification) -> str:
    """Return a line for each archive and each problem, then a line for the data set as a whole."""
    width = max((len(archive.name) for archive in found.archives), default=0)
    lines = [f"  {archive.name.ljust(width)}  {archive.status.ljust(10)}  {archive.note}" for archive in found.archives]
    if found.not_fetched:
        lines.append(f"  not downloaded: {', '.join(found.not_fetched)}")
    problems = [f"  {name}: {problem}" for name, problem in found.problems.items()]
    lines += problems[:MAX_PROBLEMS]
    if len(problems) > MAX_PROBLEMS:
        lines.append(f"  ... and {len(problems) - MAX_PROBLEMS} more")
    lines += [f"  {line}" for line in found.deviations]
    lines += _conclusion(directory, found)
    return "\n".join(printable(line).rstrip() for line in lines)


def _conclusion(directory: Path, found: Verification) -> list[str]:
    if found.is_whole:
        return [f"{directory}: nothing is missing or damaged ({found.files} files)"]
    bad = sum(archive.status not in GOOD for archive in found.archives)
    lines = [
        f"{directory}: incomplete: {bad} of {len(found.archives)} archives and {len(found.problems)} of "
        f"{found.files} files are missing or damaged"
    ]
    if found.archives:
        dataset = archives.data_set_name_of(found.archives[0].name)
        lines.append(f"  delete the damaged files, then run: avscene data download {dataset} --output {directory}")
    return lines
