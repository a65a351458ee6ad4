// What the page talks to in private mode, in the words of a WebSocket: a worker of its own browser.

let worker = null; // is kept while the page pauses, so that it need not load again

export class PrivateSocket extends EventTarget {
  constructor() {
    super();
    this.readyState = WebSocket.CONNECTING;
    this.bufferedAmount = 0;
    worker ??= new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => this.hear(data);
    worker.onerror = ({ message }) => this.hear({ failed: message ?? "" });
    queueMicrotask(() => {
      if (this.readyState !== WebSocket.CONNECTING) return;
      this.readyState = WebSocket.OPEN;
      this.dispatchEvent(new Event("open"));
    });
  }

  hear(said) {
    if (this.readyState !== WebSocket.OPEN) return;
    if ("failed" in said) end();
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(said) }));
  }

  send(message) {
    if (typeof message === "string") worker?.postMessage(JSON.parse(message));
    else worker?.postMessage(message.buffer, [message.buffer]);
  }

  close() {
    this.readyState = WebSocket.CLOSED;
  }
}

// Whether this browser has what the private mode needs.
export function isAble() {
  return typeof Worker === "function" && typeof WebAssembly === "object" && "DecompressionStream" in self;
}

function end() {
  worker?.terminate();
  worker = null;
}
