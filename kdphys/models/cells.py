"""The plain colour of a face in squares of pixels, which teacher and student both see."""

from torch import Tensor


def cell_means(frames: Tensor, cell: int) -> Tensor:
    """Mean colour of each square of pixels.

    Args:
        frames: Pictures whose side is a multiple of `cell`. Shape (..., S, S).
        cell: Side of a square in pixels.

    Returns:
        Means. Shape (..., S / cell, S / cell).
    """
    return frames.unflatten(-1, (-1, cell)).unflatten(-3, (-1, cell)).mean((-3, -1))
