"use strict";
// The frames of a page: their heights, and what is said between them and the page.
function sendTo(identity, what) {
  document.getElementById(identity)?.contentWindow?.postMessage(what, "*");
}

// A frame that grows would move what a pressed pointer is about to click: it grows once that is clicked.
let [released, release] = [Promise.resolve(), () => {}];
window.addEventListener("pointerdown", () => { released = new Promise((done) => { release = done; }); }, true);
for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => setTimeout(release), true);

window.addEventListener("message", (event) => {
  for (const frame of document.querySelectorAll("iframe.framed")) {
    if (frame.contentWindow !== event.source || typeof event.data !== "object" || !event.data) continue;
    const { height, chosen, ready, place } = event.data;
    if (Number.isFinite(height)) released.then(() => { frame.style.height = `${Math.min(height, 40000)}px`; });
    if (typeof chosen === "string") emitEvent("chosen", chosen);
    if (ready) emitEvent("framed", frame.id);
    // The state that a frame shows is in the address of the page, which leads to it again.
    if (ready && location.hash) sendTo(frame.id, { place: location.hash });
    if (typeof place === "string" && place) history.replaceState(history.state, "", place);
  }
});
