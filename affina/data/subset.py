"""Few rows that stand for many: far from each other (k-center), or near to all they stand for (facility location).

Both are greedy, with the known bounds: twice the best radius (Gonzalez 1985), 1 - 1/e of the best (Nemhauser et al.
1978).
"""

import heapq
from typing import Any

import numpy as np
import numpy.typing as npt

from affina.data.vectors import similarities

Places = list[int]


def spread(vectors_ND: Any, count: int) -> Places:
    """The places of `count` rows: first the one most like all, then always the one farthest from those chosen."""
    rows = vectors_ND.shape[0]
    if not rows or not count:
        return []
    middle = np.asarray(vectors_ND.mean(axis=0)).reshape(1, -1)
    chosen = [int(np.argmax(np.asarray(vectors_ND @ middle.T).ravel()))]
    nearest_N = similarities(vectors_ND, vectors_ND[chosen])[:, 0]
    taken = np.zeros(rows, bool)
    taken[chosen] = True
    while len(chosen) < min(count, rows):
        farthest = int(np.argmin(np.where(taken, np.inf, nearest_N)))
        chosen.append(farthest)
        taken[farthest] = True
        nearest_N = np.maximum(nearest_N, similarities(vectors_ND, vectors_ND[[farthest]])[:, 0])
    return chosen


def covering(similarity_NM: npt.NDArray[np.float32], count: int) -> Places:
    """The places of `count` of N rows so that each of M others has one like it: the sum over the others of the largest
    similarity to a chosen row is what grows. Lazily greedy (Minoux 1978): a gain never grows as more are chosen."""
    rows, others = similarity_NM.shape
    held_M = np.zeros(others, np.float32)
    waiting = [(-float(np.maximum(similarity_NM[row], 0).sum()), row, 0) for row in range(rows)]
    heapq.heapify(waiting)
    chosen: Places = []
    while waiting and len(chosen) < count:
        _, row, seen = heapq.heappop(waiting)
        if seen < len(chosen):
            fresh = -float(np.maximum(similarity_NM[row] - held_M, 0).sum())
            heapq.heappush(waiting, (fresh, row, len(chosen)))
            continue
        chosen.append(row)
        held_M = np.maximum(held_M, similarity_NM[row])
    return chosen
