// Lines across parallel axes: dragging along an axis picks the designs that pass there, a click on a line picks one.
page.parallel = (place) => {
  if (!place.querySelector("rect[data-axis]")) return; // a still picture without axes, such as a forest plot
  const LEAST = 4; // a drag shorter than this takes the range away
  const pictures = [...place.querySelectorAll("svg")]; // for a wide screen, with the lines, and for a phone, which turns them
  const [svg] = pictures;
  const lines = [...svg.querySelectorAll("path[data-setting]")];
  const heights = lines.map((line) => [...line.getAttribute("d").matchAll(/[ML][\d.]+ ([\d.]+)/g)].map((found) => Number(found[1])));
  const ranges = new Map();
  let own = null;

  const passing = () => {
    if (ranges.size === 0) return [];
    const passes = ([axis, [low, high]], line) => heights[line][axis] >= low && heights[line][axis] <= high;
    return lines.filter((_, line) => [...ranges].every((range) => passes(range, line))).map((line) => line.dataset.setting);
  };

  // Ranges are heights of the wide picture. Along an axis that lies, the lowest value, and so the largest height, is left.
  const sizes = (strip) => Object.fromEntries(["x", "y", "width", "height"].map((name) => [name, Number(strip.getAttribute(name))]));
  const tall = sizes(svg.querySelector("rect[data-axis]"));
  const [top, bottom] = [tall.y, tall.y + tall.height];
  const lies = (strip) => strip.classList.contains("across");
  const within = (strip, [low, high]) => {
    const own = sizes(strip);
    if (!lies(strip)) return { ...own, y: low, height: high - low };
    const scale = own.width / tall.height;
    return { ...own, x: own.x + (bottom - high) * scale, width: (high - low) * scale };
  };

  const draw = () => {
    for (const rect of place.querySelectorAll("rect.range")) rect.remove();
    for (const [axis, range] of ranges) {
      for (const strip of place.querySelectorAll(`rect.strip[data-axis="${axis}"]`)) {
        const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
        for (const [key, value] of Object.entries({ ...within(strip, range), class: "range" })) rect.setAttribute(key, value);
        strip.before(rect);
      }
    }
  };

  const pick = () => {
    draw();
    own = passing();
    page.pick(own);
  };

  for (const strip of place.querySelectorAll("rect[data-axis]")) {
    const axis = Number(strip.dataset.axis);
    const own = sizes(strip);
    const height = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(strip.ownerSVGElement.getScreenCTM().inverse());
      return Math.min(bottom, Math.max(top, lies(strip) ? bottom - ((at.x - own.x) * tall.height) / own.width : at.y));
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
