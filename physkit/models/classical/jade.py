"""JADE: independent components by joint diagonalisation of cumulants. Cardoso & Souloumiac 1993."""

import itertools

import numpy as np
from jaxtyping import Float

MAX_SWEEPS = 100
"""Jacobi sweeps converge quadratically; three channels take fewer than ten."""


def jade(x: Float[np.ndarray, "n t"]) -> Float[np.ndarray, "m t"]:
    """Independent sources of `n` zero-mean mixtures, of unit variance, in no order or sign.

    Directions without variance are dropped, so m <= n. Cardoso 1999, "High-order contrasts for
    independent component analysis".
    """
    white = whiten(x)
    rotation = joint_diagonaliser(cumulant_matrices(white))
    return np.asarray(rotation.T @ white)


def whiten(x: Float[np.ndarray, "n t"]) -> Float[np.ndarray, "m t"]:
    """The mixtures' principal components at unit variance."""
    variance, axes = np.linalg.eigh(x @ x.T / x.shape[1])
    kept = variance > 1e-12 * variance.max()
    return np.asarray((axes[:, kept] / np.sqrt(variance[kept])).T @ x)


def cumulant_matrices(white: Float[np.ndarray, "m t"]) -> Float[np.ndarray, "k m m"]:
    """Fourth-order cumulant matrices of white data over a basis of symmetric matrices."""
    n, t = white.shape
    identity, matrices = np.eye(n), []
    for i, j in itertools.combinations_with_replacement(range(n), 2):
        moment = (white * white[i] * white[j]) @ white.T / t
        cross = np.outer(identity[i], identity[j])
        cumulant = moment - cross - cross.T - (identity if i == j else 0.0)
        # Off-diagonal basis matrices appear once here and twice in the full sum.
        matrices.append(cumulant if i == j else np.sqrt(2.0) * cumulant)
    return np.stack(matrices)


def joint_diagonaliser(matrices: Float[np.ndarray, "k m m"]) -> Float[np.ndarray, "m m"]:
    """The rotation under which the matrices are jointly as diagonal as can be, by Jacobi angles."""
    n = matrices.shape[1]
    matrices, rotation = matrices.copy(), np.eye(n)
    for _ in range(MAX_SWEEPS):
        largest = 0.0
        for p, q in itertools.combinations(range(n), 2):
            angle = jacobi_angle(matrices, p, q)
            largest = max(largest, abs(angle))
            turn = np.eye(n)
            turn[[p, q], [p, q]] = np.cos(angle)
            turn[p, q], turn[q, p] = -np.sin(angle), np.sin(angle)
            matrices = turn.T @ matrices @ turn
            rotation = rotation @ turn
        if largest < 1e-9:
            break
    return rotation


def jacobi_angle(matrices: Float[np.ndarray, "k m m"], p: int, q: int) -> float:
    """The rotation in the plane (p, q) that leaves least off the diagonals; closed form."""
    difference = matrices[:, p, p] - matrices[:, q, q]
    twice = matrices[:, p, q] + matrices[:, q, p]
    on = float(difference @ difference - twice @ twice)
    off = float(2.0 * difference @ twice)
    return 0.5 * float(np.arctan2(off, on + np.hypot(on, off)))
