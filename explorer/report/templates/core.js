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

  // Text as the page has it elsewhere: true minus signs, multiplication signs, and numbers that no line break tears.
  typeset: (text) =>
    text
      .replace(typesetRules.minus, "\u2212")
      .replace(typesetRules.times, (_, first) => `${first ?? ""}\u00d7`)
      .replace(typesetRules.together, (found) => found.replaceAll(" ", "\u00a0").replace(typesetRules.hyphen, "-\u2060")),

  // A cell of a CSV file.
  quoted: (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text),

  // A picture as a file; a canvas makes it a PNG. All its styles must be in it.
  async savePicture(svg, format, ending) {
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    const picture = new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" });
    if (format === "svg") return page.save(picture, `${ending}.svg`);
    const image = new Image();
    const address = URL.createObjectURL(picture);
    image.src = address;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: 2 * width, height: 2 * height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(address);
    return canvas.toBlob((blob) => page.save(blob, `${ending}.png`));
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

  decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  },

  read() {
    const found = /^#designs=(.*)$/.exec(location.hash);
    if (location.hash && !found) return; // of a link within the page, which picks nothing
    const known = (name) => document.querySelector(`tr[data-setting="${CSS.escape(name)}"]`) !== null;
    page.picked = new Set(found ? found[1].split(",").filter(Boolean).map(page.decoded).filter(known) : []);
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
