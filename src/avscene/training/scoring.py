"""A model over rows of a store."""

import numpy as np

from avscene.datasets.store.columns import column_key
from avscene.datasets.store.reader import SegmentStore
from avscene.inference import BATCH_SIZE, batched, prefetch
from avscene.models import SceneModel
from avscene.models.fusion_network import FusionNetworkModel
from avscene.models.openl3.heads import OpenL3HeadModel
from avscene.progress import Progress
from avscene.records import FloatArray, IntArray


def score_rows(model: SceneModel, store: SegmentStore, rows: IntArray, progress: Progress | None = None) -> FloatArray:
    """Probabilities (n_rows, n_scenes), NaN where the model did not score; stored embeddings are not computed again."""
    if isinstance(model, FusionNetworkModel | OpenL3HeadModel) and _holds_embeddings(store, model):
        return model.score_embeddings([store.embeddings(name)[rows] for name in model.encoders]).probabilities
    parts: list[FloatArray] = [np.empty((0, len(model.labels)))]
    done = 0
    for segments in prefetch(store.segments(batch) for batch in batched(rows.tolist(), BATCH_SIZE)):
        parts.append(model.score(segments).probabilities)
        done += len(segments)
        if progress is not None:
            progress(done, len(rows))
    return np.concatenate(parts)


def _holds_embeddings(store: SegmentStore, model: FusionNetworkModel | OpenL3HeadModel) -> bool:
    """Whether the store has the embeddings of the model's very encoders."""
    return all(
        name in store.encoders and store.embedding_key(name) == column_key(key, store.spec)
        for name, key in zip(model.encoders, model.encoder_keys, strict=True)
    )
