// The two pictures of runs on canvas: marks against two columns, and lines across parallel axes. Thousands of lines are
// drawn a part at a time, so that brushing stays fluent.
const plots = {
  FEW_COLORS: 6, // of the palette, whose last one is grey as what is left over
  SHADES: 16,
  FONT: "12px system-ui, sans-serif",
  RADIUS: 3.6,
  NEAR: 14, // pixels within which the pointer means a mark
  PARTS: [4, 20], // parts drawn in one frame: while something is dragged, and else
  styles: null,
  order: null, // of drawing, the same in both pictures: no study lies on top of all others

  setStyles() {
    const own = getComputedStyle(document.documentElement);
    const of = (name) => own.getPropertyValue(name).trim();
    plots.styles = {
      page: of("--page"), text: of("--text"), quiet: of("--quiet"), line: of("--line"), accent: of("--accent"), faint: of("--line"),
      palette: Array.from({ length: plots.FEW_COLORS }, (_, place) => of(`--c${place}`)),
      ramp: ["--ramp0", "--ramp1", "--ramp2"].map(of),
    };
  },

  shuffled() {
    if (plots.order?.length === runs.count) return plots.order;
    const order = Uint32Array.from({ length: runs.count }, (_, place) => place);
    let seed = 1;
    for (let last = order.length - 1; last > 0; last -= 1) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const other = seed % (last + 1);
      [order[last], order[other]] = [order[other], order[last]];
    }
    plots.order = order;
    return order;
  },

  // The colour of each run and the legend: of words the most frequent ones have one each, of numbers it follows the rank.
  colors(axis, there) {
    const { column, known } = axis;
    const { palette, quiet } = plots.styles;
    const of = new Uint8Array(runs.count);
    if (column.isWords) {
      const counts = new Map();
      for (let run = 0; run < runs.count; run += 1) if (there[run]) counts.set(column.values[run], (counts.get(column.values[run]) ?? 0) + 1);
      const named = known.length <= palette.length ? known : [...known].sort((one, other) => counts.get(other) - counts.get(one)).slice(0, palette.length - 1);
      const places = new Map(known.filter((code) => named.includes(code)).map((code, place) => [code, place]));
      const other = palette.length;
      for (let run = 0; run < runs.count; run += 1) of[run] = places.get(column.values[run]) ?? other;
      const legend = [...places].map(([code, place]) => ({ word: column.words[code], color: palette[place], count: counts.get(code) }));
      const rest = known.filter((code) => !places.has(code));
      if (rest.length) legend.push({ word: null, color: quiet, count: rest.reduce((sum, code) => sum + counts.get(code), 0), others: rest.length });
      return { of, list: [...palette, quiet], legend };
    }
    const ranks = new Map(known.map((value, place) => [value, known.length > 1 ? place / (known.length - 1) : 0]));
    const last = plots.SHADES - 1;
    for (let run = 0; run < runs.count; run += 1) of[run] = ranks.has(column.values[run]) ? Math.round(ranks.get(column.values[run]) * last) : plots.SHADES;
    const list = Array.from({ length: plots.SHADES }, (_, place) => plots.shade(place / last));
    return { of, list: [...list, quiet], legend: null, ends: [known[0], known.at(-1)] };
  },

  shade(rank) {
    const { ramp } = plots.styles;
    const [from, to, share] = rank < 0.5 ? [ramp[0], ramp[1], rank * 2] : [ramp[1], ramp[2], rank * 2 - 1];
    const part = (color, place) => parseInt(color.slice(place, place + 2), 16);
    const mixed = [1, 3, 5].map((place) => Math.round(part(from, place) * (1 - share) + part(to, place) * share));
    return `rgb(${mixed.join(" ")})`;
  },

  // A canvas as sharp as the screen; its coordinates are pixels of the page.
  sized(canvas, width, height) {
    const sharp = window.devicePixelRatio || 1;
    const size = [Math.round(width * sharp), Math.round(height * sharp)];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    const context = canvas.getContext("2d");
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = plots.FONT;
    return context;
  },

  // A mark of one colour, to be put down many times.
  stamp(color, radius) {
    const sharp = window.devicePixelRatio || 1;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = Math.ceil((2 * radius + 2) * sharp);
    const context = canvas.getContext("2d");
    context.scale(canvas.width / (2 * radius + 2), canvas.width / (2 * radius + 2));
    context.fillStyle = color;
    context.beginPath();
    context.arc(radius + 1, radius + 1, radius, 0, 7);
    context.fill();
    return canvas;
  },

  // Run a drawing that yields after each part; a new one takes its place. A browser paints what a script has drawn after
  // the script, so that parts are counted, not timed.
  inParts(state, drawing, isDragged) {
    state.job?.return();
    state.job = drawing;
    const go = () => {
      if (state.job !== drawing) return;
      for (let part = 0; part < plots.PARTS[isDragged ? 0 : 1]; part += 1) {
        if (!drawing.next().done) continue;
        state.job = null;
        return;
      }
      requestAnimationFrame(go);
    };
    go();
  },

  fitted(context, words, width) {
    if (context.measureText(words).width <= width) return words;
    // Cut in the middle: names of one study's kin differ at their ends.
    const cut = (letters) => `${words.slice(0, Math.ceil(letters * 0.4))}\u2026${words.slice(words.length - Math.floor(letters * 0.6))}`;
    let letters = words.length - 1;
    while (letters > 1 && context.measureText(cut(letters)).width > width) letters -= 1;
    return cut(letters);
  },
};

// ---------------------------------------------------------------- marks

const scatter = {
  canvas: document.getElementById("marks"),
  behind: document.createElement("canvas"), // the axes, and faint all runs that are there
  box: { left: 62, right: 12, top: 14, bottom: 48 },
  x: new Float32Array(0),
  y: new Float32Array(0),

  layout(view) {
    const { canvas, box } = scatter;
    const width = canvas.parentElement.clientWidth;
    const height = Math.round(Math.max(300, Math.min(440, width * 0.6)));
    scatter.size = { width, height };
    scatter.isBehind = false;
    canvas.style.height = `${height}px`;
    const { x, y } = view;
    const [across, up] = [width - box.left - box.right, height - box.top - box.bottom];
    // Marks of one word would lie on one line.
    const apart = (axis, run) => (axis.column.isWords ? (((Math.imul(run + 1, 2654435761) >>> 8) % 1000) / 1000 - 0.5) * 0.6 / axis.known.length : 0);
    scatter.x = Float32Array.from({ length: runs.count }, (_, run) => box.left + across * (x.at[run] + apart(x, run)));
    scatter.y = Float32Array.from({ length: runs.count }, (_, run) => box.top + up * (1 - y.at[run] - apart(y, run * 7 + 3)));
  },

  draw(view) {
    const { canvas, size } = scatter;
    if (!scatter.isBehind) scatter.axes(plots.sized(scatter.behind, size.width, size.height), view);
    plots.inParts(scatter, scatter.marks(plots.sized(canvas, size.width, size.height), view), view.isDragged);
  },

  axes(context, view) {
    const { size, box } = scatter;
    const { styles } = plots;
    const [right, bottom] = [size.width - box.right, size.height - box.bottom];
    const [across, up] = [right - box.left, bottom - box.top];
    context.strokeStyle = styles.line;
    context.fillStyle = styles.text;
    context.textBaseline = "middle";
    context.textAlign = "end";
    let last = Infinity;
    for (const [place, words] of runs.ticks(view.y)) {
      const at = bottom - up * place;
      if (last - at < 13) continue;
      last = at;
      context.beginPath();
      context.moveTo(box.left, at);
      context.lineTo(right, at);
      context.stroke();
      context.fillText(plots.fitted(context, words, box.left - 24), box.left - 7, at);
    }
    context.textAlign = "center";
    context.textBaseline = "top";
    let free = 0;
    const ticks = runs.ticks(view.x);
    const widest = Math.max(56, across / Math.max(1, ticks.length) - 6);
    for (const [place, words] of ticks) {
      const at = box.left + across * place;
      if (at < free) continue; // of thousands of words those that have room
      const shown = plots.fitted(context, words, widest);
      const half = context.measureText(shown).width / 2;
      const middle = Math.min(size.width - half - 1, Math.max(half + 1, at));
      if (middle - half < free) continue;
      free = middle + half + 6;
      context.beginPath();
      context.moveTo(at, box.top);
      context.lineTo(at, bottom);
      context.stroke();
      context.fillText(shown, middle, bottom + 7);
    }
    context.fillStyle = styles.quiet;
    context.fillText(plots.fitted(context, scatter.title(view.x), across), (box.left + right) / 2, size.height - 17);
    context.save();
    context.translate(7, (box.top + bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.textBaseline = "middle";
    context.fillText(plots.fitted(context, scatter.title(view.y), up), 0, 0);
    context.restore();
  },

  title: ({ column, isLog }) => `${column.label}${column.unit ? ` (${column.unit})` : ""}${isLog ? ", logarithmic" : ""}`,

  *marks(context, view) {
    const order = plots.shuffled();
    const many = view.there_count > 2000;
    const radius = many ? 2.4 : plots.RADIUS;
    const stamps = new Map();
    const mark = (on, run, color, size) => {
      if (!stamps.has(color)) stamps.set(color, plots.stamp(color, size));
      on.drawImage(stamps.get(color), scatter.x[run] - size - 1, scatter.y[run] - size - 1, 2 * size + 2, 2 * size + 2);
    };
    const isShown = (run) => !Number.isNaN(scatter.x[run]) && !Number.isNaN(scatter.y[run]);
    let step = 0;
    if (!scatter.isBehind) {
      const behind = scatter.behind.getContext("2d");
      for (const run of order) {
        if (view.there[run] && isShown(run)) mark(behind, run, plots.styles.faint, radius * 0.8);
        if ((step += 1) % 500 === 0) yield;
      }
      scatter.isBehind = true;
    }
    context.drawImage(scatter.behind, 0, 0, scatter.size.width, scatter.size.height);
    context.globalAlpha = many ? 0.7 : 0.85;
    for (const run of order) {
      if (!view.chosen[run] || !isShown(run)) continue;
      mark(context, run, view.colors.list[view.colors.of[run]], radius);
      if ((step += 1) % 500 === 0) yield;
    }
    context.globalAlpha = 1;
    if (view.picked >= 0 && isShown(view.picked)) {
      context.strokeStyle = plots.styles.text;
      context.lineWidth = 2;
      context.beginPath();
      context.arc(scatter.x[view.picked], scatter.y[view.picked], radius + 4, 0, 7);
      context.stroke();
      context.lineWidth = 1;
    }
    if (view.brush) {
      const { left, top, width, height } = view.brush;
      context.strokeStyle = plots.styles.accent;
      context.fillStyle = plots.styles.accent;
      context.globalAlpha = 0.15;
      context.fillRect(left, top, width, height);
      context.globalAlpha = 1;
      context.strokeRect(left, top, width, height);
    }
  },

  nearest(view, x, y) {
    let [found, least] = [-1, plots.NEAR ** 2];
    for (let run = 0; run < runs.count; run += 1) {
      if (!view.chosen[run]) continue;
      const far = (scatter.x[run] - x) ** 2 + (scatter.y[run] - y) ** 2;
      if (far < least) [found, least] = [run, far];
    }
    return found;
  },

  // A place on the picture as places along both axes.
  places(x, y) {
    const { size, box } = scatter;
    return [(x - box.left) / (size.width - box.left - box.right), 1 - (y - box.top) / (size.height - box.top - box.bottom)];
  },
};

// ---------------------------------------------------------------- lines

const lines = {
  canvas: document.getElementById("lines"),
  behind: document.createElement("canvas"), // of all runs that are there, faint
  TOP: 12,
  BOTTOM: 10,
  BELOW: 34, // where runs without a value pass
  SIDE: 58,
  LEAST: 92, // pixels from one axis to the next

  layout(view) {
    const frame = lines.canvas.parentElement;
    const room = frame.parentElement.clientWidth;
    const height = 340;
    const left = lines.side(view.axes[0], room);
    const width = Math.max(room, left + lines.SIDE + lines.LEAST * Math.max(1, view.axes.length - 1));
    frame.style.width = `${width}px`;
    lines.canvas.style.height = `${height}px`;
    lines.size = { width, height };
    lines.span = view.axes.length > 1 ? (width - left - lines.SIDE) / (view.axes.length - 1) : 0;
    lines.across = view.axes.map((_, place) => (view.axes.length > 1 ? left + lines.span * place : width / 2));
    const bottom = height - (view.axes.some((axis) => axis.hasNone) ? lines.BELOW : lines.BOTTOM);
    lines.bottom = bottom;
    // A run without a value passes below the axis.
    lines.ups = view.axes.map((axis) => Float32Array.from(axis.at, (place) => (Number.isNaN(place) ? bottom + 22 : bottom - (bottom - lines.TOP) * place)));
    lines.isBehind = false;
  },

  // Room for the words of the first axis, as far as there is any.
  side(axis, room) {
    const context = lines.canvas.getContext("2d");
    context.font = plots.FONT;
    const widest = Math.max(0, ...runs.ticks(axis).slice(0, 40).map(([, words]) => context.measureText(words).width));
    return Math.min(Math.max(lines.SIDE, widest + 12), Math.max(lines.SIDE, room * 0.2));
  },

  draw(view) {
    const { size } = lines;
    if (!lines.isBehind) plots.sized(lines.behind, size.width, size.height);
    const context = plots.sized(lines.canvas, size.width, size.height);
    plots.inParts(lines, lines.all(context, view), view.isDragged);
  },

  path(context, run) {
    context.beginPath();
    for (let place = 0; place < lines.across.length; place += 1) {
      const at = lines.ups[place][run];
      if (place) context.lineTo(lines.across[place], at);
      else context.moveTo(lines.across[place], at);
    }
    context.stroke();
  },

  *all(context, view) {
    const order = plots.shuffled();
    const { size } = lines;
    const many = view.there_count > 2000;
    if (!lines.isBehind) {
      const behind = lines.behind.getContext("2d");
      behind.strokeStyle = plots.styles.faint;
      behind.globalAlpha = many ? 0.4 : 0.7;
      let step = 0;
      for (const run of order) {
        if (!view.there[run]) continue;
        lines.path(behind, run);
        if ((step += 1) % 100 === 0) yield;
      }
      lines.isBehind = true;
    }
    context.drawImage(lines.behind, 0, 0, size.width, size.height);
    lines.axes(context, view);
    context.lineWidth = 1.2;
    let step = 0;
    for (const run of order) {
      if (!view.chosen[run]) continue;
      context.globalAlpha = many ? 0.35 : 0.6;
      context.strokeStyle = view.colors.list[view.colors.of[run]];
      lines.path(context, run);
      if ((step += 1) % 100 === 0) yield;
    }
    context.globalAlpha = 1;
    if (view.picked >= 0 && view.there[view.picked]) {
      context.strokeStyle = plots.styles.text;
      context.lineWidth = 2.5;
      lines.path(context, view.picked);
    }
    lines.axes(context, view); // labels stand above the lines
  },

  axes(context, view) {
    const { styles } = plots;
    view.axes.forEach((axis, place) => {
      const x = lines.across[place];
      context.lineWidth = 1;
      context.strokeStyle = styles.quiet;
      context.beginPath();
      context.moveTo(x, lines.TOP);
      context.lineTo(x, lines.bottom);
      context.stroke();
      context.textAlign = "end";
      context.textBaseline = "middle";
      context.lineWidth = 3;
      context.strokeStyle = styles.page;
      context.fillStyle = styles.text;
      const room = (place ? lines.span : x) - 10;
      let last = Infinity;
      const ticks = [...runs.ticks(axis)];
      for (const [at, words] of ticks) {
        const y = lines.bottom - (lines.bottom - lines.TOP) * at;
        if (last - y < 13) continue;
        last = y;
        const shown = plots.fitted(context, words, room);
        context.strokeText(shown, x - 6, y);
        context.fillText(shown, x - 6, y);
      }
      if (axis.hasNone) {
        context.fillStyle = styles.quiet;
        context.strokeText("none", x - 6, lines.bottom + 22);
        context.fillText("none", x - 6, lines.bottom + 22);
      }
    });
    context.lineWidth = 1;
  },
};
