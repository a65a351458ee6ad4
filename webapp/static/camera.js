// Pictures of a camera, each once, and when each was taken, by the page's clock.
//
// Chromium gives them as they come from the camera, and keeps some while the page is busy. Elsewhere
// they are those that reach the screen: later by up to one of its steps, and fewer when it is late.

import { sizeOf } from "./pixels.js";

const WAITING = 8; // pictures, at most, for a page that is busy
const SETTLED = 8; // pictures, after which the quickest has come as good as at once
const LOST_MS = 1000; // later than the quickest: the camera's clock, or the page's, has jumped
const LEAST_STEP_S = 1 / 65; // between pictures, where the browser does not tell which are new

// Give `see` each picture, when it was taken, in seconds, and whether the browser knows that, until
// the camera stops.
export function film(video, see) {
  return "MediaStreamTrackProcessor" in self ? read(video, see) : follow(video, see);
}

async function read(video, see) {
  const [track] = video.srcObject.getVideoTracks();
  const pictures = new MediaStreamTrackProcessor({ track, maxBufferSize: WAITING }).readable.getReader();
  let aheadMs = Infinity; // the page's clock of the camera's, as far as it took a picture to come
  for (let count = 0; ; count++) {
    const { value: picture, done } = await pictures.read();
    if (done) return;
    const takenMs = picture.timestamp / 1000;
    const cameMs = performance.now() - takenMs;
    if (cameMs < aheadMs || cameMs > aheadMs + LOST_MS) aheadMs = cameMs;
    const isTurned = count >= SETTLED && `${sizeOf(picture)}` !== `${sizeOf(video)}`;
    try {
      if (count >= SETTLED && !isTurned) see(picture, (takenMs + aheadMs) / 1000, true);
    } catch (error) {
      console.error(error); // what fails with one picture is not to stop the rest
    } finally {
      picture.close();
    }
    if (!isTurned) continue;
    pictures.cancel(); // a phone's, as its sensor lies: the video is upright
    return follow(video, see);
  }
}

function follow(video, see) {
  const stream = video.srcObject;
  const asks = "requestVideoFrameCallback" in video;
  const again = () =>
    asks ? video.requestVideoFrameCallback(next) : requestAnimationFrame((now) => next(now));
  let latestS = -Infinity;
  const next = (now, frame) => {
    if (video.srcObject !== stream) return;
    again(); // first: what fails below is not to stop the rest
    const timeS = (frame?.captureTime ?? now) / 1000;
    if (frame || timeS - latestS >= LEAST_STEP_S) {
      latestS = timeS; // not on every turn of a fast screen
      see(video, timeS, frame?.captureTime !== undefined);
    }
  };
  again();
}
