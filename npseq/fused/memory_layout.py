"""Copies from one memory layout to another, and the products whose speed depends on the layout."""

import numpy as np

NARROW, SMALL = 16, 512  # sequences and rows up to which the gradients of the steps are turned into rows
BLOCK = 32  # rows or columns that are transposed together; more would fall on each other in the cache
LARGE = 8_192  # elements from which transposing is done in blocks


def copy_swapped(to, source):
    """``to[...] = source``, (T, ·, ·) each, where the last axis is contiguous in one and the last but one in the
    other."""
    if to[:1].size < LARGE:
        to[...] = source
        return
    last = to.strides[2] == to.itemsize
    for start in range(0, to.shape[2 if last else 1], BLOCK):
        block = slice(start, start + BLOCK)
        part = (slice(None), slice(None), block) if last else (slice(None), block)
        to[part] = source[part]


def transposed(matrix):
    """A copy of Mᵀ, contiguous."""
    out = np.empty(matrix.shape[::-1], matrix.dtype)
    copy_swapped(out[None], matrix.T[None])
    return out


def gathered(flat, steps):
    """(n, blocks, rows, B) -> (blocks · rows, n · B), the columns of all steps side by side, in the room ``flat``.

    With few sequences the copy lies in memory with one row for each step and sequence: the product over time is faster
    with it, and copying a few numbers at a time would be slow.
    """
    n, blocks, rows, B = steps.shape
    flat = flat[: steps.size]
    if narrow(blocks * rows, B):
        flat.reshape(n, B, blocks * rows)[...] = steps.reshape(n, blocks * rows, B).transpose(0, 2, 1)
        return flat.reshape(n * B, blocks * rows).T
    flat.reshape(blocks, rows, n, B)[...] = steps.transpose(1, 2, 0, 3)
    return flat.reshape(blocks * rows, n * B)


def narrow(rows, B):
    """Are the gradients of the steps turned into rows for the products over time?"""
    return B <= NARROW and rows <= SMALL


def outer(D, Z, room, matmul):
    """D Zᵀ, (rows of D, rows of Z), in the flat ``room``, by the faster of the two products that give it: it lies in
    memory as (rows of Z, rows of D) when it comes from Z Dᵀ."""
    out = room[: len(D) * len(Z)]
    if len(D) < len(Z) or D.strides[0] == D.itemsize:
        return matmul(Z, D.T, out=out.reshape(len(Z), len(D))).T
    return matmul(D, Z.T, out=out.reshape(len(D), len(Z)))
