"""Which part of a camera's picture is looked at.

A camera that sends its pictures over a network sends the surroundings of the face only, averaged
down. The part that is sent moves rarely, by whole pixels, and everyone knows where it is: so the
face box keeps its place in the camera's picture when it moves.
"""

from dataclasses import dataclass

from kdphys.crop import FaceBox

SEARCH_PX = 160  # side of the whole picture when a face is looked for
FOLLOW_PX = 72  # side of the surroundings of a face that is followed
REACH = 1.8  # side of those surroundings in widths of the face
LEAST_REACH, MOST_REACH = 1.45, 2.4  # where they are left as they are
FARTHEST_PX = 1e6  # from a picture's corner, that a part of it may begin, and its largest side
MARGIN = 0.06  # of their side, between the face and their edge, if they are to be left


@dataclass(frozen=True)
class View:
    """A square part of a picture, averaged down."""

    x: float
    """Its left edge, in pixels of the camera; it may lie beyond the picture, as the others may."""
    y: float
    """Its upper edge, in pixels of the camera."""
    side: float
    """Its side, in pixels of the camera."""
    pixels: int
    """Its side after averaging."""

    def __post_init__(self) -> None:
        if not (0 < self.side <= FARTHEST_PX and self.pixels > 0):
            raise ValueError(
                f"side={self.side} and pixels={self.pixels} must be above 0, side at most 1e6"
            )
        if not (abs(self.x) <= FARTHEST_PX and abs(self.y) <= FARTHEST_PX):
            raise ValueError(f"x={self.x} and y={self.y} must lie within 1e6 pixels")

    @property
    def scale(self) -> float:
        """Pixels of the view for one of the camera."""
        return self.pixels / self.side

    def in_camera(self, box: FaceBox) -> FaceBox:
        """Turn a box in the view into one in the camera's picture."""
        x0, x1 = (self.x + x / self.scale for x in (box.x0, box.x1))
        y0, y1 = (self.y + y / self.scale for y in (box.y0, box.y1))
        return FaceBox(x0, y0, x1, y1, box.score)

    def of_camera(self, box: FaceBox) -> FaceBox:
        """Turn a box in the camera's picture into one in the view."""
        x0, x1 = ((x - self.x) * self.scale for x in (box.x0, box.x1))
        y0, y1 = ((y - self.y) * self.scale for y in (box.y0, box.y1))
        return FaceBox(x0, y0, x1, y1, box.score)


def whole(width: int, height: int) -> View:
    """All of a picture of `width` x `height` pixels, in the middle of a square."""
    side = max(width, height)
    return View((width - side) // 2, (height - side) // 2, side, SEARCH_PX)


def follow(view: View, face: FaceBox | None, width: int, height: int) -> View:
    """Choose what to look at next.

    Args:
        view: What is looked at now.
        face: Where the face is, in pixels of the camera; None where there is none.
        width: Of the camera's picture in pixels.
        height: Of the camera's picture in pixels.

    Returns:
        The same view as long as it holds the face well; else the surroundings of the face, or the
        whole picture where there is no face.
    """
    if face is None:
        return whole(width, height)
    if view.pixels == FOLLOW_PX and _holds(view, face):
        return view
    side = max(round(REACH * face.width), FOLLOW_PX)
    x, y = (round(middle - side / 2) for middle in face.centre)
    return View(x, y, side, FOLLOW_PX)


def _holds(view: View, face: FaceBox) -> bool:
    """Tell whether the face has room in a view, and is not lost in it."""
    margin = MARGIN * view.side
    roomy = (
        face.x0 - view.x > margin
        and face.y0 - view.y > margin
        and view.x + view.side - face.x1 > margin
        and view.y + view.side - face.y1 > margin
    )
    smallest = view.side <= FOLLOW_PX  # it can't be drawn closer
    return roomy and (smallest or LEAST_REACH <= view.side / face.width <= MOST_REACH)
