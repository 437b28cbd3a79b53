"use strict";
// What all views share: unpacking, files, and which designs are picked. The address holds what is picked, so that a link
// shows the same.
const page = {
  picked: new Set(),
  listeners: [],

  async unpack(id) {
    const text = document.getElementById(id).textContent.trim();
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  },

  // Hand a file made here to whoever asked for it.
  save(blob, ending) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${document.getElementById("settings").dataset.study}${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  },

  pick(names) {
    page.picked = new Set(names);
    const words = [...page.picked].map(encodeURIComponent).join(",");
    history.replaceState(null, "", words ? `#designs=${words}` : location.pathname + location.search);
    page.tell();
  },

  toggle(name) {
    const names = new Set(page.picked);
    if (!names.delete(name)) names.add(name);
    page.pick(names);
  },

  read() {
    const found = /^#designs=(.*)$/.exec(location.hash);
    const known = (name) => document.querySelector(`tr[data-setting="${CSS.escape(name)}"]`) !== null;
    page.picked = new Set(found ? found[1].split(",").filter(Boolean).map(decodeURIComponent).filter(known) : []);
    page.tell();
  },

  tell() {
    const count = page.picked.size;
    document.getElementById("picked").textContent = count ? `${count} ${count === 1 ? "design" : "designs"} picked` : "";
    document.getElementById("unpick").hidden = count === 0;
    for (const listener of page.listeners) listener();
  },
};

document.getElementById("unpick").addEventListener("click", () => page.pick([]));
addEventListener("hashchange", page.read);
