// Lines across parallel axes: dragging along an axis picks the designs that pass there, a click on a line picks one.
page.parallel = (place) => {
  const LEAST = 4; // a drag shorter than this takes the range away
  const svg = place.querySelector("svg");
  const lines = [...svg.querySelectorAll("path[data-setting]")];
  const heights = lines.map((line) => [...line.getAttribute("d").matchAll(/[ML][\d.]+ ([\d.]+)/g)].map((found) => Number(found[1])));
  const ranges = new Map();
  let own = null;

  const passing = () => {
    if (ranges.size === 0) return [];
    const within = ([axis, [low, high]], line) => heights[line][axis] >= low && heights[line][axis] <= high;
    return lines.filter((_, line) => [...ranges].every((range) => within(range, line))).map((line) => line.dataset.setting);
  };

  const draw = () => {
    for (const rect of svg.querySelectorAll("rect.range")) rect.remove();
    for (const [axis, [low, high]] of ranges) {
      const strip = svg.querySelector(`rect[data-axis="${axis}"]`);
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const size = { x: strip.getAttribute("x"), width: strip.getAttribute("width"), y: low, height: high - low };
      for (const [key, value] of Object.entries({ ...size, class: "range" })) rect.setAttribute(key, value);
      strip.before(rect);
    }
  };

  const pick = () => {
    draw();
    own = passing();
    page.pick(own);
  };

  for (const strip of svg.querySelectorAll("rect[data-axis]")) {
    const axis = Number(strip.dataset.axis);
    const top = Number(strip.getAttribute("y"));
    const bottom = top + Number(strip.getAttribute("height"));
    const height = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      return Math.min(bottom, Math.max(top, at.y));
    };
    let from = null;
    strip.addEventListener("pointerdown", (event) => {
      from = height(event);
      strip.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    strip.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = height(event);
      ranges.set(axis, [Math.min(from, to), Math.max(from, to)]);
      draw();
    });
    strip.addEventListener("pointerup", (event) => {
      if (from === null) return;
      if (Math.abs(height(event) - from) < LEAST) ranges.delete(axis);
      from = null;
      pick();
    });
  }
  for (const line of lines) line.addEventListener("click", () => page.toggle(line.dataset.setting));

  const mark = () => {
    const some = page.picked.size > 0;
    const foreign = own === null || own.length !== page.picked.size || own.some((name) => !page.picked.has(name));
    if (foreign && ranges.size) {
      ranges.clear();
      draw();
    }
    for (const line of lines) {
      const is = page.picked.has(line.dataset.setting);
      line.classList.toggle("faint", some && !is);
      if (is) line.parentNode.append(line);
    }
  };
  page.listeners.push(mark);
  mark();
};
