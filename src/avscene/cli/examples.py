"""List the examples that the help of each command ends with; tests run them in this order in one directory.

The first example of a command is also shown beside it in the list of commands.
"""

# By the command as it is typed after `avscene`.
EXAMPLES: dict[str, tuple[str, str]] = {
    "data toytown": (
        "avscene data toytown town",
        "avscene data toytown small --locations 3 --recordings 1 --seconds 2",
    ),
    "data verify": ("avscene data verify town", "avscene data verify recordings"),
    "data download": (
        "avscene data download tau-2021 --subset examples",
        "avscene data download tau-2021 --output tau --discard-archives",
    ),
    "prepare": (
        "avscene prepare recordings --output recordings.store",
        "avscene prepare town --output town.store --hop 0.5 --sample-rate 16000",
    ),
    "embed": (
        "avscene embed recordings.store --encoder efficientnet-lite0",
        "avscene embed recordings.store --encoder efficientnet-lite1 --device cpu",
    ),
    "train": (
        "avscene train fast --data recordings --output my-system",
        "avscene train full-fusion --data recordings.store --output fusion --holdout fold=3",
    ),
    "classify": (
        "avscene classify film.mp4 --labels kitchen,street,forest",
        "avscene classify films --system my-system --format jsonl --output scenes.jsonl",
    ),
    "serve": (
        "avscene serve",
        "avscene serve --port 8080 --system my-system --max-upload 500M --keep 1",
    ),
    "cross-validate": (
        "avscene cross-validate fast --data recordings --folds fold --output validation",
        "avscene cross-validate fast --data recordings --folds fold --output half-seconds --hop 0.5",
    ),
    "push": (
        "avscene push my-system user/my-system --dry-run",
        "avscene push my-system user/my-system --private --license apache-2.0 --dry-run",
    ),
    "predict": (
        "avscene predict --system my-system --data recordings --output scores.tsv --by-model",
        "avscene predict --system conse --data recordings --only fold=3 --output fold.tsv",
    ),
    "evaluate": (
        "avscene evaluate scores.tsv",
        "avscene evaluate scores.audio.tsv scores.video.tsv --json figures.json --report report.html",
    ),
    "fuse": (
        "avscene fuse scores.audio.tsv scores.video.tsv --rule mean --output fused.tsv",
        "avscene fuse scores.audio.tsv scores.video.tsv --cross-fit 2 --output pooled.tsv --json weights.json",
    ),
    "mismatch": (
        "avscene mismatch scores.audio.tsv scores.video.tsv --cross-fit 3 --output mismatch.tsv",
        "avscene mismatch scores.audio.tsv scores.video.tsv --cross-fit 3 --prior 0.5 --output half.tsv",
    ),
    "submit": (
        "avscene submit urban.tsv --output submission",
        "avscene submit --check submission/task1b_1.output.csv",
    ),
    "reproduce": (
        "avscene reproduce tau --output table",
        "avscene reproduce town --output trial --backbones small --systems C04",
    ),
    "demo": ("avscene demo", "avscene demo --output trial-run"),
    "systems": ("avscene systems", "avscene systems --json"),
    "doctor": ("avscene doctor", "avscene doctor --offline"),
}

# The commands in the list of commands, by heading.
GROUPS: dict[str, tuple[str, ...]] = {
    "Classify recordings": ("classify", "serve"),
    "Train on your own recordings": ("train", "cross-validate", "prepare", "embed", "push"),
    "Measure and combine": ("predict", "evaluate", "fuse", "mismatch"),
    "Challenge and paper": ("submit", "reproduce"),
    "Data sets": ("data",),
    "This installation": ("systems", "doctor", "demo"),
}
