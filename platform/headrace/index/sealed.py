"""A sealed part: vectors of one moment in faiss, exact or in cells, which never change.

    N vectors   D width   K keys asked for   L nearest   U vectors added

Up to `FLAT` vectors are floats, up to `EXACT` one byte a number, and all are compared. Beyond they
lie in cells, each vector in that of the nearest of `NUM_CELLS` means, and a search looks into
more cells the more it is asked for. faiss is kept to one thread: the cores are the
ranker's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import faiss as annotated_faiss
import numpy as np
from numpy.typing import NDArray

faiss: Final[Any] = annotated_faiss  # its annotations are of its C++, not of its Python

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bits = NDArray[np.uint8]
Vectors = Callable[[Ints], Floats]  # of these places

FLAT: Final = 20_000
EXACT: Final = 200_000
NUM_CELLS: Final = 1_024
PROBES: Final = 64  # cells of a search for at most `FEW`
FEW: Final = 128
TRAINED_ON: Final = 64 * NUM_CELLS  # vectors that means and ranges are of
PART: Final = 1 << 14  # vectors that are made at once


class Sealed:
    """Vectors by place, each with its key; a key may be at several places, of which the last
    counts."""

    def __init__(
        self,
        faiss_index: Any,
        key_N: Ints,
        num_trained: int,
        order_N: NDArray[np.int32] | None = None,
    ) -> None:
        self.faiss_index, self.key_N = faiss_index, key_N
        self.num_trained = num_trained  # vectors when means and ranges were found
        if order_N is None:
            order_N = np.argsort(key_N, kind="stable").astype(np.int32)
        self.order_N = order_N  # of the keys, ascending

    @classmethod
    def of(cls, key_N: Ints, vectors: Vectors, flat: int = FLAT, exact: int = EXACT) -> Sealed:
        """The vectors of these keys; the numbers up to which they are floats, and all compared, may
        be told."""
        faiss.omp_set_num_threads(1)
        place_N, sample = np.arange(len(key_N)), max(1, len(key_N) // TRAINED_ON)
        sample_XD = np.ascontiguousarray(vectors(place_N[::sample]))
        found = _untrained(len(key_N), sample_XD.shape[1], flat, exact)
        if not found.is_trained:
            found.train(sample_XD)
        for start in range(0, len(key_N), PART):
            found.add(np.ascontiguousarray(vectors(place_N[start : start + PART])))
        return cls(found, key_N, len(key_N))

    def __len__(self) -> int:
        return len(self.key_N)

    @property
    def num_bytes(self) -> int:
        """Bytes of vectors, keys and their order."""
        index = self.faiss_index
        a_vector = int(index.code_size) + (8 if isinstance(index, faiss.IndexIVF) else 0)
        return len(self) * a_vector + self.key_N.nbytes + self.order_N.nbytes

    def places(self, key_K: Ints) -> Ints:
        """The places of those of these keys that are here, each at its last."""
        if not len(self):
            return np.zeros(0, np.int64)
        after_K = np.searchsorted(self.key_N, key_K, side="right", sorter=self.order_N)
        place_K = self.order_N[after_K - 1].astype(np.int64)
        here_K: Ints = place_K[(after_K > 0) & (self.key_N[place_K] == key_K)]
        return here_K

    def nearest(self, query_D: Floats, limit: int, alive: Bits | None) -> tuple[Floats, Ints]:
        """[L], [L]: the greatest products, and the places of their vectors; `alive` are the places
        that may be among them, as bits."""
        if not len(self) or limit < 1:
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        faiss.omp_set_num_threads(1)
        selector = None if alive is None else faiss.IDSelectorBitmap(alive)
        found = self.faiss_index
        if isinstance(found, faiss.IndexIVF):
            wider = max(1.0, limit / FEW) ** 0.5  # that many more lie in fewer other cells
            num_probes = min(found.nlist, int(PROBES * wider))
            told = faiss.SearchParametersIVF(sel=selector, nprobe=num_probes)
        else:
            told = faiss.SearchParameters(sel=selector)
        score_1L, place_1L = found.search(query_D[None], min(limit, len(self)), params=told)
        is_one_L = place_1L[0] >= 0
        return score_1L[0][is_one_L], place_1L[0][is_one_L]

    def vectors(self) -> Floats:
        """[N, D]: the vectors as they are kept, by place."""
        vector_ND: Floats = self.faiss_index.reconstruct_n(0, len(self))
        return vector_ND

    def extended(self, key_U: Ints, vector_UD: Floats) -> Sealed:
        """A copy with these appended, in the cells that there are."""
        faiss.omp_set_num_threads(1)
        # A clone of an index that is mapped would end the process at its first vector.
        copy = faiss.deserialize_index(faiss.serialize_index(self.faiss_index))
        copy.add(np.ascontiguousarray(vector_UD))
        return Sealed(copy, np.concatenate([self.key_N, key_U]), self.num_trained)


def _untrained(num: int, width: int, flat: int, exact: int) -> Any:
    """faiss's index for so many vectors of this width."""
    product, byte = faiss.METRIC_INNER_PRODUCT, faiss.ScalarQuantizer.QT_8bit
    if num <= flat:
        return faiss.IndexFlat(width, product)
    if num <= exact:
        return faiss.IndexScalarQuantizer(width, byte, product)
    means = faiss.IndexFlat(width, product)
    num_cells = min(NUM_CELLS, max(1, num // 64))
    cells = faiss.IndexIVFScalarQuantizer(means, width, num_cells, byte, product, False)
    cells.own_fields = True
    means.this.disown()
    return cells
