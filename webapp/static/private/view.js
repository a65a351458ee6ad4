// Which part of the camera's picture is looked at, as kdphys/view.py chooses it.
//
// A view is [x, y, side, pixels], as the page has it.

import { K } from "./constants.js";
import { centreOf, widthOf } from "./crop.js";
import { rounded } from "./maths.js";

const scaleOf = ([, , side, pixels]) => pixels / side;

export function whole(wide, high) {
  const side = Math.max(wide, high);
  return [Math.floor((wide - side) / 2), Math.floor((high - side) / 2), side, K.view.SEARCH_PX];
}

// A box in a view as one in the camera's picture.
export function inCamera(view, { x0, y0, x1, y1, score }) {
  const [x, y] = view;
  const scale = scaleOf(view);
  return { x0: x + x0 / scale, y0: y + y0 / scale, x1: x + x1 / scale, y1: y + y1 / scale, score };
}

// How boxes in one view are carried over to another: { scale, x, y }.
export function moved(from, to) {
  const scale = scaleOf(to);
  return { scale: scale / scaleOf(from), x: (from[0] - to[0]) * scale, y: (from[1] - to[1]) * scale };
}

// What to look at next, given the face in pixels of the camera.
export function follow(view, face, wide, high) {
  if (!face) return whole(wide, high);
  if (view[3] === K.view.FOLLOW_PX && holds(view, face)) return view;
  const side = Math.max(rounded(K.view.REACH * widthOf(face)), K.view.FOLLOW_PX);
  const [x, y] = centreOf(face).map((middle) => rounded(middle - side / 2));
  return [x, y, side, K.view.FOLLOW_PX];
}

function holds([x, y, side], face) {
  const margin = K.view.MARGIN * side;
  const roomy =
    face.x0 - x > margin &&
    face.y0 - y > margin &&
    x + side - face.x1 > margin &&
    y + side - face.y1 > margin;
  const reach = side / widthOf(face);
  const smallest = side <= K.view.FOLLOW_PX; // it can't be drawn closer
  return roomy && (smallest || (reach >= K.view.LEAST_REACH && reach <= K.view.MOST_REACH));
}
