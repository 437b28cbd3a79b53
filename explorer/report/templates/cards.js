// Cards of the picked designs, up to four side by side: what a block looks like, its stages, costs and errors.
page.cards = (designs, error) => {
  const MOST = 4;
  const PATHS = 5;
  const place = document.getElementById("cards");
  const node = (kind, words, attributes = {}) => {
    const made = document.createElement(kind);
    if (words !== undefined) made.textContent = kind === "pre" ? words : page.typeset(String(words));
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const drawn = (kind, attributes, words) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (words !== undefined) made.textContent = page.typeset(words);
    return made;
  };

  // The block of the first stage: its input splits into paths, each of which narrows, convolves and widens.
  const diagram = (design) => {
    const stage = design.stages[0];
    const { cardinality, width, into, out } = stage;
    const shown = cardinality <= PATHS ? cardinality : PATHS - 1;
    const gap = 76;
    const slots = shown + (cardinality > shown ? 1 : 0);
    const left = design.shortcut ? 56 : 12;
    const wide = left + slots * gap + 8;
    const names = { basic: ["3x3", "3x3"], preact_basic: ["3x3", "3x3"] };
    const k = `${design.kernel}x${design.kernel}`;
    const steps = names[design.block] ?? ["1x1", k, "1x1"];
    const channels = steps.length === 3 ? [width, width, out] : [out, out];
    const bottom = 62 + steps.length * 34;
    const svg = drawn("svg", { viewBox: `0 0 ${wide} ${bottom + 34}`, class: "block", role: "img" });
    svg.setAttribute("aria-label", `A block of the first stage: ${into} channels, ${cardinality} paths of ${width} channels, ${out} channels`);
    const middle = left + ((slots - 1) * gap) / 2 + 32;
    const line = (path) => svg.append(drawn("path", { d: path, class: "wire" }));
    const text = (x, y, words, kind = "") => svg.append(drawn("text", { x, y, "text-anchor": "middle", class: kind }, words));
    text(middle, 14, `${out} channels`, "quiet");
    for (let path = 0; path < slots; path += 1) {
      const x = left + path * gap + 32;
      if (cardinality > shown && path === slots - 1) {
        text(x, 62 + steps.length * 17, `… ${cardinality} paths`, "quiet");
        continue;
      }
      line(`M${middle} 20L${x} 40V${bottom}L${middle} ${bottom + 18}`);
      steps.forEach((step, number) => {
        const y = 44 + number * 34;
        svg.append(drawn("rect", { x: x - 32, y, width: 64, height: 26, rx: 3, class: "layer" }));
        text(x, y + 17, `${step}, ${channels[number]}`);
      });
    }
    if (design.shortcut) line(`M${middle} 20H14V${bottom + 18}H${middle}`);
    text(middle, bottom + 31, design.shortcut ? "sum with the input" : "sum", "quiet");
    return svg;
  };

  const table = (heads, rows) => {
    const made = node("table");
    if (heads.length) {
      const head = made.createTHead().insertRow();
      for (const word of heads) head.append(node("th", word));
    }
    const body = made.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const cell of row) line.append(node("td", cell));
    }
    return made;
  };

  const card = (setting) => {
    const design = designs[setting];
    const made = node("article", undefined, { class: "card", "aria-label": design.name });
    const close = node("button", "Unpick", { type: "button" });
    close.addEventListener("click", () => page.toggle(setting));
    const head = node("h2", design.name);
    head.append(" ", close);
    made.append(head);
    if (design.stages.length) {
      made.append(diagram(design));
      const rows = design.stages.map((s) => [`${s.map} px`, s.blocks, `${s.cardinality} × ${s.width}`, s.out]);
      made.append(table(["Map", "Blocks", "Paths × width", "Channels"], rows));
      if (design.parts) made.append(node("p", `With ${design.parts}.`, { class: "note" }));
    }
    const percent = (value) => `${(100 * value).toFixed(2)} %`;
    const costs = design.costs.map(([word, value]) => [word, value.toLocaleString("en")]);
    made.append(table([], [...costs, [`${error}, mean of ${Object.keys(design.errors).length}`, design.mean], ["95 % interval", design.interval]]));
    const seeds = Object.entries(design.errors).map(([seed, value]) => `${seed}: ${value}`);
    made.append(node("p", `By seed: ${seeds.join(", ")}`, { class: "note" }));
    made.append(node("pre", design.command));
    return made;
  };

  const show = () => {
    const names = [...page.picked].filter((name) => name in designs);
    place.replaceChildren(...names.slice(0, MOST).map(card));
    if (names.length > MOST) place.append(node("p", `${names.length - MOST} more are picked; four are shown.`, { class: "note" }));
    place.hidden = names.length === 0;
  };
  page.listeners.push(show);
  show();
};
