"""The two functions of ``bptt.py`` again, with the same numbers, reordered for speed.

``cells.py`` defines what is computed; this room performs the same operations in a faster order. ``through_time.py``
runs the sequences, ``kernels.py`` has the steps of each cell, ``workspace.py`` and ``pool.py`` the memory they work in,
``packing.py`` sequences of different lengths, ``batch_parallel.py`` and ``blas.py`` threads. What makes it fast:

1. **One product per step.** h, x and a row of ones are stacked in ``Z[t]``, so with ``W = [W_h, W_x, b_x + b_h]`` the
   product ``W @ Z[t]`` is every pre-activation of step t, biases included, and the new h is written where the next
   product reads it. ``da Zᵀ``, summed over time, is dW_h, dW_x and db at once. (The GRU needs a_xn and a_hn separately,
   so the rows of W that read x and the rows that read h are not all the same.) The loops call ``W.dot``, bound once,
   which for small matrices takes 0.6 µs less than ``np.matmul``. W_hᵀ is copied once so that it is contiguous;
   otherwise ``dot`` would copy it at every step.

   **In pieces that are not packed.** OpenBLAS copies ("packs") both operands of a product into blocks before it
   multiplies. Its kernels for AVX-512 (``SkylakeX``) have another product beside that one, which reads the operands
   where they are. It is taken for up to 10⁶ multiplications: rows times columns times terms. ``np.matmul`` of the view
   ``W.reshape(s, rows // s, ·)`` calls it s times (``product.py``). So W is cut into the fewest equal pieces of at most
   10⁶ multiplications, if they have four rows or more. W (2048, 1025) times 4, 32, 64 columns takes 501, 1644, 3190 µs
   as a whole and 182, 1258, 2529 in pieces; with two rows in a piece it takes 1.5 times as long, and with one column
   nothing is gained. In dx = Dᵀ W_x a piece needs 16 rows: (1024, 256) times 32 columns takes 227 µs whole, 149 in
   pieces. The kernels for Haswell and Zen pack every product, and float64 is left as it was. Shape and processor
   decide, never a measurement, so the bits do not depend on what else runs. A sum of 1,000 or 2,000 terms has two to
   four times the rounding error, as it is one sum instead of sums of a few hundred terms; it stays within 2 √K · 2⁻²⁴
   of |W| |ζ| for K terms. After an upgrade of NumPy, ``python benchmarks/pieces.py`` says whether this still holds.

2. **One tanh for all gates.** σ(a) = ½ tanh(a/2) + ½, and a/2 costs nothing if the rows of W that belong to σ gates are
   halved beforehand. NumPy's tanh is vectorised; computing σ with exp takes more calls.

3. **Gates in an order in which one call serves several.** The blocks of a step are contiguous, (H, B) each. In the LSTM
   the order is o i f g c': tanh takes the first four blocks, σ the first three, and the single product [i, f] ⊙ [g, c']
   gives both terms of c = f ⊙ c' + i ⊙ g.

4. **What does not depend on the incoming gradient leaves the loop.** Backward is linear in dh and dc, so their factors
   K are computed for many steps in one call; only the recurrence itself stays in the loop. For the LSTM: [part of dc,
   da_o] = dh ⊙ [K_c, K_o] and [da_i, da_f, da_g, dc'] = dc ⊙ [K_i, K_f, K_g, f]; for the GRU one multiplication by dh
   gives all five blocks. As h = o ⊙ tanh c, the factor K_c = o (1 − tanh² c) is o − h ⊙ tanh c.

5. **Chunks.** Factors are computed for as many steps as fit in the cache (``CACHE_BYTES``), in the buffer where the
   gradients then take their place. Sums over time, and results
   that are needed at every step but not passed on to the next one, are computed as one product over the steps and
   sequences of a chunk, which has ``PRODUCT_MIN_COLUMNS`` columns or more: the gradient of W, and dx, which is written
   in the caller's own layout. If W is too large to stay in the cache (``HOIST_MIN_ELEMENTS``) and its products are
   packed, W_x x is too.

6. **Memory is allocated once.** Buffers and the per-step views into them are pooled by size (a step takes 1.1 to 1.8
   times as long without that); a tape owns its workspace
   until the tape is deleted. Every NumPy call writes into a preallocated array (``out=``).

7. **Columns are independent.** So sequences of different lengths are packed end to end, without masks in the loop, and
   a wide batch may be split over threads, because NumPy's calls let other threads run. Each part is summed by itself
   and the parts are added in order, so the result does not depend on timing. For a narrow batch with large weights only
   the products of many steps are split: threads that synchronise at every step stall whenever one of them is preempted.

Options without a fused implementation fall back to ``bptt.py``: projection, recurrent dropout, checkpointing, lengths
with relu (h could grow without bound after the end of a sequence) or with one-hot inputs, and user-defined cells.
"""

from .through_time import backward_through_time, forward_through_time

__all__ = ["backward_through_time", "forward_through_time"]
