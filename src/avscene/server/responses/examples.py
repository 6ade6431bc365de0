"""Define the larger examples of the OpenAPI document."""

from pydantic.config import JsonValue

SCORES: dict[str, JsonValue] = {"park": 0.81, "street": 0.19}
PREDICTION: dict[str, JsonValue] = {
    "schema": "avscene/1",
    "source": "film.mp4",
    "duration": 10.0,
    "system": "conse",
    "labels": ["park", "street"],
    "modalities": {"audio": True, "video": True},
    "scene": "park",
    "score": 0.81,
    "scores": SCORES,
    "mismatch": None,
    "familiarity": None,
    "segments": [
        {
            "start": 0.0,
            "end": 1.0,
            "scene": "park",
            "score": 0.81,
            "scores": SCORES,
            "mismatch": None,
            "familiarity": None,
            "by_model": {"conse": SCORES},
        }
    ],
    "warnings": [],
}
JOB: dict[str, JsonValue] = {
    "id": "q7mZb0l5Rr2cV9xK1tYwAQ",
    "name": "film.mp4",
    "state": "done",
    "created": "2026-05-04T09:30:00.000Z",
    "started": "2026-05-04T09:30:01.000Z",
    "finished": "2026-05-04T09:30:04.000Z",
    "size": 1048576,
    "system": "conse",
    "labels": ["park", "street"],
    "hop": None,
    "frames": "exact",
    "position": None,
    "reached": 10.0,
    "duration": 10.0,
    "seconds_left": None,
    "attempts": 1,
    "version": 7,
    "scene": "park",
    "scenes": ["park"],
    "score": 0.81,
    "unsure": False,
    "mismatch": None,
    "modalities": {"audio": True, "video": True},
    "models": {"conse": "video"},
    "error": None,
}
