"""What counting alone predicts of a text: the uniform distribution, and interpolated n-grams.

An n-gram model of order n predicts symbol w from the n − 1 symbols h before it. With Witten–Bell smoothing,

    P_n(w | h) = (c(h w) + T(h) P_{n−1}(w | h')) / (c(h) + T(h)),

where c counts in the training part, T(h) is the number of different symbols that follow h there, and h' is h without
its first symbol. P_0 is 1 / V. A context that never occurred (c(h) = T(h) = 0) leaves P_{n−1}.

Source: Witten & Bell, "The zero-frequency problem: estimating the probabilities of novel events in adaptive text
compression", IEEE Transactions on Information Theory 37(4), 1991 (their method C, interpolated).
"""

from __future__ import annotations

import numpy as np

ORDERS = range(1, 7)


def mean_surprise(train: np.ndarray, test: np.ndarray, size: int, start: int = 0) -> dict[int, float]:
    """Return order -> mean of −log P_order over the symbols of ``test`` from ``start`` on, in nats.

    Args:
        train: symbols, (N,) integers from 0 to ``size`` − 1, N ≥ 1, which are counted.
        test: symbols; those before ``start`` are context only.
        size: V.
    """
    longest = max(ORDERS) - 1
    test = np.concatenate([np.full(longest, -1), test[max(0, start - longest) :]])  # −1: a symbol that nothing follows
    scored = len(test) - longest - min(start, longest)
    p = np.full(scored, 1 / size)
    # the number of the context of n − 1 symbols before each symbol, first the empty one; −1 for one not in train
    tokens, before = train.astype(np.int64), np.zeros(len(train), np.int64)
    test_tokens, test_before = test, np.zeros(len(test), np.int64)
    contexts, result = 1, {}
    for n in ORDERS:
        found, numbers, counts = np.unique(before * size + tokens, return_inverse=True, return_counts=True)
        of_context, of_following = (np.bincount(a, minlength=contexts) for a in (before, found // size))  # c(h), T(h)
        codes = test_before * size + test_tokens  # below 0, so not among ``found``, where one of the two is −1
        at = np.minimum(np.searchsorted(found, codes), len(found) - 1)
        seen = found[at] == codes
        c_hw, h = np.where(seen, counts[at], 0)[-scored:], test_before[-scored:]
        c, T = np.where(h >= 0, of_context[h], 0), np.where(h >= 0, of_following[h], 0)
        p = np.where(c > 0, (c_hw + T * p) / np.maximum(c + T, 1), p)
        result[n] = float(-np.log(p).mean())
        # an n-gram is the context of the symbol after it
        contexts = len(found)
        tokens, before = tokens[1:], numbers.reshape(-1)[:-1]
        test_tokens, test_before = test_tokens[1:], np.where(seen, at, -1)[:-1]
        if not len(tokens):  # the training part is no longer than a context
            result |= {order: result[n] for order in ORDERS if order > n}
            break
    return result
