// A broadcast is told of as it goes.
(() => {
  "use strict";

  const streams = new WeakMap();

  const close = (part) => {
    streams.get(part)?.source.close();
    streams.delete(part);
  };

  const open = (part) => {
    const address = part.dataset.live;
    if (streams.get(part)?.address === address) return;
    close(part);
    const source = new EventSource(address);
    streams.set(part, { source, address });
    source.addEventListener("shown", (event) => {
      const progress = document.getElementById("progress");
      progress.innerHTML = event.data;
      document.dispatchEvent(new CustomEvent("pushkeeper:shown", { detail: progress }));
    });
    // It stands otherwise now: what can be done with it is another, too. Where that cannot be asked for now, it is by and by.
    source.addEventListener("turned", () => {
      close(part);
      part.dataset.every = "5";
      part.dispatchEvent(new Event("refresh"));
    });
    // Nobody is there, or too many are: it is asked for again by and by.
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) part.dataset.every = "5";
    });
  };

  // A browser has few connections to one host: who does not look holds none.
  const follow = () => {
    for (const part of document.querySelectorAll("#standing")) {
      if (part.dataset.live && document.visibilityState === "visible") open(part);
      else close(part);
    }
  };

  follow();
  document.addEventListener("visibilitychange", follow);
  document.addEventListener("htmx:after:settle", follow);
  addEventListener("pagehide", () => document.querySelectorAll("#standing").forEach(close));
})();
