// The private mode's thread: answers what the page would send to the server.

import { fill, K } from "./constants.js";
import { load } from "./networks.js";
import { Visit } from "./visit.js";

let loaded = null;
let visit = null;
let comparing = null; // a thread of its own: the wave is not to wait for the teacher
let turn = Promise.resolve(); // messages are answered one after the other

self.onmessage = ({ data }) => {
  turn = turn.then(() => answer(data)).catch((error) => self.postMessage({ failed: error.message }));
};

async function answer(said) {
  if (said instanceof ArrayBuffer) {
    if (visit) self.postMessage(await visit.take(said));
  } else if (said.ask === "compare") {
    compare(visit?.meter.lately ?? { crops: [] });
  } else {
    loaded ??= await load();
    const resumed = visit?.name === said.visit && visit.wide === said.width && visit.high === said.height;
    if (!resumed) visit = new Visit(said, loaded.finder, loaded.student);
    self.postMessage({ welcome: true, resumed, view: visit.view });
  }
}

function compare(lately) {
  if (lately.crops.length < K.live.COMPARED_S * K.runtime.FPS) {
    self.postMessage({ compared: null, reason: K.texts.LIVE_TOO_SOON });
    return;
  }
  comparing ??= new Worker(new URL("./comparison.js", import.meta.url), { type: "module" });
  comparing.onmessage = ({ data }) => ("failed" in data ? giveUp(data.failed) : self.postMessage(data));
  comparing.onerror = ({ message }) => giveUp(message || "a script could not be loaded");
  comparing.postMessage(lately);
}

// The next comparison begins anew: what has failed once in ONNX Runtime stays failed in its thread.
function giveUp(why) {
  comparing.terminate();
  comparing = null;
  self.postMessage({ compared: null, reason: fill(K.texts.LIVE_NOT_COMPARED, { why }) });
}
