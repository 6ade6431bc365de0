"""Find the spans of a recording in which audio and video do not belong together."""

import numpy as np
import scipy

from avscene.records import FloatArray
from avscene.verdicts import MismatchSpan

MEAN_LENGTH = 10.0  # seconds that a mismatch within a recording is expected to last
_THRESHOLD = 0.5  # of the smoothed probability: the more probable of two states


def find_spans(log_odds: FloatArray, times: FloatArray, prior: float) -> tuple[MismatchSpan, ...]:
    """Return the longest spans of consecutive rows that are more probably mismatched than not, given all rows.

    Args:
        log_odds: (n,) of a mismatch in each row for equal priors; NaN where nothing can be said.
        times: (n, 2) start and end in seconds, in order.
        prior: probability of a mismatch.
    """
    known = np.flatnonzero(~np.isnan(log_odds))
    if not known.size:
        return ()
    posterior = smooth(log_odds[known], times[known, 0], prior)
    # Equal neighbours form a run; each begins where the state differs from that before.
    state = posterior >= _THRESHOLD
    firsts = np.flatnonzero(np.diff(state, prepend=~state[0]))
    lasts = np.append(firsts[1:], len(state)) - 1
    return tuple(
        MismatchSpan(
            float(times[known[first], 0]), float(times[known[last], 1]), float(posterior[first : last + 1].mean())
        )
        for first, last in zip(firsts, lasts, strict=True)
        if state[first]
    )


def smooth(log_odds: FloatArray, starts: FloatArray, prior: float) -> FloatArray:
    """Return the probability (n,) of a mismatch in each row, given all rows.

    A hidden Markov model of two states (forward-backward algorithm: Rabiner 1989): each is a mismatch with probability
    `prior`, and a mismatch lasts for MEAN_LENGTH on average.

    Args:
        log_odds: (n,) of a mismatch in each row for equal priors.
        starts: (n,) seconds, in order.
        prior: probability of a mismatch.
    """
    n = len(log_odds)
    likelihood = scipy.special.softmax(np.stack([np.zeros(n), log_odds], axis=1), axis=1)
    share = np.array([1 - prior, prior])
    # After a while, a state either continues or is drawn by its share.
    continues = np.exp(-np.diff(starts) / (MEAN_LENGTH * (1 - prior)))
    steps = continues[:, None, None] * np.eye(2) + (1 - continues)[:, None, None] * share
    forward, backward = np.empty((n, 2)), np.ones((n, 2))
    forward[0] = share * likelihood[0]
    for row in range(1, n):
        reached = (forward[row - 1] / forward[row - 1].sum()) @ steps[row - 1]
        forward[row] = reached * likelihood[row]
    for row in range(n - 2, -1, -1):
        after = steps[row] @ (likelihood[row + 1] * backward[row + 1])
        backward[row] = after / after.sum()
    both = forward * backward
    return np.asarray(both[:, 1] / both.sum(axis=1))
