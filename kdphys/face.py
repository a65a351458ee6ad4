"""Where the face is: detection on a thumbnail, and one steady box followed through time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A face in a frame; pixel edges count from 0 at the left and top, and may lie outside it."""

    x0: float
    y0: float
    x1: float
    y1: float
    score: float
    """Confidence of the detector in [0, 1]; 0 where the box is only carried over a short loss."""

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y1 - self.y0

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box, (x, y) in pixels."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2
