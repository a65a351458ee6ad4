// What the page talks to in private mode, in the words of a WebSocket: a worker of its own browser.
//
// The worker lives as long as the session: it outlives a pause, and nothing else, so that nothing of
// one session can reach another.

export const PAUSED = 4000; // close code with which the page says that it comes back

let worker = null;
let current = null; // the latest socket

export class PrivateSocket extends EventTarget {
  constructor() {
    super();
    this.readyState = WebSocket.CONNECTING;
    this.isWelcome = false; // before, what is heard was owed to the socket of before a pause
    current = this;
    worker ??= begun();
    queueMicrotask(() => {
      if (this.readyState !== WebSocket.CONNECTING) return;
      this.readyState = WebSocket.OPEN;
      this.dispatchEvent(new Event("open"));
    });
  }

  hear(said) {
    this.isWelcome ||= "welcome" in said || "failed" in said;
    if (this.readyState !== WebSocket.OPEN || !this.isWelcome) return;
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(said) }));
  }

  send(message) {
    if (typeof message === "string") worker?.postMessage(JSON.parse(message));
    else worker?.postMessage(message.buffer, [message.buffer]);
  }

  close(code) {
    this.readyState = WebSocket.CLOSED;
    if (code !== PAUSED && current === this) endPrivate();
  }
}

// Whether this browser has what the private mode needs.
export function isAble() {
  return typeof Worker === "function" && typeof WebAssembly === "object" && "DecompressionStream" in self;
}

function begun() {
  const fresh = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const hear = (said) => {
    if (fresh !== worker) return; // of a session that has ended
    if ("failed" in said) endPrivate(); // while paused, too: the next socket begins anew
    current.hear(said);
  };
  fresh.onmessage = ({ data }) => hear(data);
  fresh.onerror = ({ message }) => hear({ failed: message || "a script could not be loaded" });
  return fresh;
}

// The session is over: nothing of it is to be remembered.
export function endPrivate() {
  worker?.terminate();
  worker = null;
}
