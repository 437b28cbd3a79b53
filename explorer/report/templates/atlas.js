// The explorer of runs: what is looked at is one value, `view`; every control changes it, and it stands in the address.
(async () => {
  const section = document.getElementById("explore");
  const root = document.documentElement;
  if (!section) {
    root.dataset.ready = "yes";
    return;
  }
  const ROWS = 20;
  const MOST_WORDS = 200; // of a column to choose from
  const KEYS = ["x", "y", "color", "axes", "slice", "keep", "exclude"];
  const FIRST_AXES = ["data", "cardinality", "group_width", "depth", "params", "seconds", "error"];
  const el = (id) => document.getElementById(id);
  const make = (name, text = "", more = {}) => Object.assign(document.createElement(name), { textContent: text }, more);

  try {
    await runs.load();
  } catch {
    root.dataset.ready = "yes"; // a browser that cannot unpack shows the rest of the page
    return;
  }
  if (!runs.count) {
    root.dataset.ready = "yes";
    return;
  }
  section.hidden = false;
  const names = [...runs.columns.keys()];
  const first = (...wanted) => wanted.find((name) => runs.columns.has(name)) ?? names[0];
  const few = runs.columns.get("study")?.words.length <= plots.FEW_COLORS;
  const usual = {
    x: first("params", "macs", "cardinality", "seconds", "seed"),
    y: first("error", "test_error", "val_error", "seconds"),
    color: first(...(few ? ["study"] : []), "data", "study", "cardinality", "setting", "seed"),
  };
  const most = () => Math.max(3, Math.floor((section.clientWidth - 2 * lines.SIDE) / lines.LEAST) + 1);
  const usualAxes = () => {
    const found = FIRST_AXES.filter((name) => runs.columns.has(name));
    return found.length > most() ? [...found.slice(0, most() - 1), found.at(-1)] : found.length > 1 ? found : names.slice(0, 2);
  };

  const view = { steps: [], slices: new Map(), picked: -1, brush: null, row: 0 };
  const axes = new Map(); // laid out for the runs that are there
  const axis = (name) => {
    if (!axes.has(name)) axes.set(name, runs.scale(runs.columns.get(name), view.there));
    return axes.get(name);
  };

  // ------------------------------------------------------------ the address

  const read = () => {
    const given = address.read();
    const known = (name) => (runs.columns.has(name) ? name : undefined);
    for (const key of ["x", "y", "color"]) view[key] = known(given.get(key)) ?? usual[key];
    const asked = [...new Set((given.get("axes") ?? "").split(",").filter(known))];
    view.own = asked.length > 1 ? asked : null;
    view.slices = runs.fromText(given.get("slice") ?? "");
    view.steps = [...given].filter(([key]) => key === "keep" || key === "exclude").map(([key, text]) => ({ isKept: key === "keep", slices: runs.fromText(text) }));
    view.steps = view.steps.filter(({ slices }) => slices.size);
    view.picked = -1;
    whole();
  };

  const write = (isStep = true) => {
    const told = ["x", "y", "color"].filter((key) => view[key] !== usual[key]).map((key) => [key, view[key]]);
    if (view.own) told.push(["axes", view.own.join(",")]);
    told.push(...view.steps.map(({ isKept, slices }) => [isKept ? "keep" : "exclude", runs.toText(slices)]));
    if (view.slices.size) told.push(["slice", runs.toText(view.slices)]);
    address.write(KEYS, told, isStep);
  };

  // ------------------------------------------------------------ drawing

  // All of it, as after keeping or excluding, by which every axis changes.
  const whole = () => {
    view.there = runs.after(view.steps);
    view.there_count = runs.total(view.there);
    axes.clear();
    arranged();
  };

  // Other columns on the axes.
  const arranged = () => {
    view.names = view.own ?? usualAxes();
    Object.assign(view, { axes: view.names.map(axis) });
    colored();
    scatter.layout({ x: axis(view.x), y: axis(view.y) });
    lines.layout(view);
    heads();
    controls();
    sliced();
  };

  const colored = () => {
    plots.setStyles();
    view.colors = plots.colors(axis(view.color), view.there);
  };

  const drawn = () => {
    const both = { ...view, x: axis(view.x), y: axis(view.y) };
    scatter.draw(both);
    lines.draw(view);
  };

  // Other slices.
  const sliced = (isDone = true) => {
    view.isDragged = !isDone;
    view.chosen = view.slices.size ? runs.passing(view.slices, view.there) : view.there;
    view.count = view.slices.size ? runs.total(view.chosen) : view.there_count;
    view.row = 0;
    if (view.picked >= 0 && !view.chosen[view.picked]) view.picked = -1;
    drawn();
    ranges();
    counted();
    if (!isDone) return; // what is dragged changes with every frame
    chips();
    legend();
    table();
    tell();
  };

  let isAsked = false;
  const soon = () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      sliced(false);
    });
  };

  const repaint = () => {
    colored();
    scatter.isBehind = false;
    lines.isBehind = false;
    drawn();
    legend();
  };

  // ------------------------------------------------------------ controls

  const choices = (select, chosen) => {
    if (!select.options.length) select.append(...names.map((name) => make("option", runs.columns.get(name).label, { value: name })));
    select.value = chosen;
  };

  const controls = () => {
    choices(el("of-x"), view.x);
    choices(el("of-y"), view.y);
    choices(el("of-color"), view.color);
    for (const box of el("of-axes").querySelectorAll("input")) {
      box.checked = view.names.includes(box.value);
      box.disabled = box.checked && view.names.length < 3;
    }
  };

  const words_of = ([name, { low, high, words }]) => {
    const column = runs.columns.get(name);
    if (words) return `${column.label}: ${[...words].slice(0, 3).join(", ")}${words.size > 3 ? ` and ${words.size - 3} more` : ""}`;
    const [from, to] = [low, high].map((value) => value !== null && runs.number(column, value));
    return `${column.label} ${from && to ? `${from} to ${to}` : from ? `at least ${from}` : `at most ${to}`}`;
  };

  const chips = () => {
    const items = view.steps.map(({ isKept, slices }, place) => {
      const item = make("li", "", { className: "step" });
      const button = make("button", `${isKept ? "Kept" : "Excluded"}: ${[...slices].map(words_of).join("; ")} \u00d7`, { type: "button" });
      button.setAttribute("aria-label", `Take back: ${button.textContent.slice(0, -2)}`);
      button.addEventListener("click", () => {
        view.steps.splice(place, 1);
        write();
        whole();
      });
      item.append(button);
      return item;
    });
    items.push(
      ...[...view.slices].map((entry) => {
        const item = make("li");
        const button = make("button", `${words_of(entry)} \u00d7`, { type: "button" });
        button.setAttribute("aria-label", `Take the slice away: ${words_of(entry)}`);
        button.addEventListener("click", () => slice(entry[0], null));
        item.append(button);
        return item;
      }),
    );
    el("chips").replaceChildren(...items);
    const isSliced = view.slices.size > 0 && view.count > 0 && view.count < view.there_count;
    el("keep").disabled = !isSliced;
    el("exclude").disabled = !isSliced;
    el("again").disabled = !view.steps.length && !view.slices.size;
  };

  const counted = () => {
    const are = (count) => `${count.toLocaleString("en")} ${count === 1 ? "run" : "runs"}`;
    const without = scatter.x.reduce((sum, at, run) => sum + (view.chosen[run] && (Number.isNaN(at) || Number.isNaN(scatter.y[run])) ? 1 : 0), 0);
    el("count").textContent =
      `${view.count.toLocaleString("en")} of ${are(view.there_count)}${view.there_count < runs.count ? ` (${runs.count.toLocaleString("en")} in all)` : ""}` +
      (without ? `; ${without.toLocaleString("en")} without a value of these two` : "");
    const sum = `${runs.columns.get(view.y).label} against ${runs.columns.get(view.x).label}, ${are(view.count)}`;
    scatter.canvas.setAttribute("aria-label", `Marks: ${sum}. Arrow keys go from mark to mark, Enter opens the study's page.`);
  };

  // Set or take away a slice; while it is dragged nothing is written.
  const slice = (name, value, isDone = true) => {
    if (value) view.slices.set(name, value);
    else view.slices.delete(name);
    if (isDone) {
      write();
      sliced();
    } else soon();
  };

  const between = (name, from, to) => {
    const own = axis(name);
    const [low, high] = [Math.min(from, to), Math.max(from, to)];
    const { column } = own;
    const [isOpen, isOpenAbove] = [low < own.place(own.known[0]), high > own.place(own.known.at(-1))];
    if (!own.known.length || (isOpen && isOpenAbove)) return null;
    if (column.isWords) {
      const words = own.known.filter((code) => own.place(code) >= low && own.place(code) <= high).map((code) => column.words[code]);
      return words.length ? { words: new Set(words) } : null;
    }
    const rounded = (value) => Number(value.toPrecision(5));
    // With few numbers a range ends at one of them.
    const inside = own.known.filter((value) => own.place(value) >= low && own.place(value) <= high);
    if (own.known.length <= runs.FEW) return inside.length ? { low: isOpen ? null : inside[0], high: isOpenAbove ? null : inside.at(-1) } : null;
    return { low: isOpen ? null : rounded(own.value(low)), high: isOpenAbove ? null : rounded(own.value(high)) };
  };

  // Both ends of a column's slice as places along its axis.
  const ends = (name) => {
    const [own, found] = [axis(name), view.slices.get(name)];
    if (!found) return [0, 1];
    const limit = (place) => Math.min(1, Math.max(0, place));
    if (!found.words) return [found.low === null ? 0 : limit(own.place(found.low)), found.high === null ? 1 : limit(own.place(found.high))];
    const places = own.known.filter((code) => found.words.has(own.column.words[code])).map(own.place);
    const half = 0.4 / Math.max(1, own.known.length);
    return places.length ? [limit(Math.min(...places) - half), limit(Math.max(...places) + half)] : [0, 0];
  };

  for (const [id, key] of [["of-x", "x"], ["of-y", "y"], ["of-color", "color"]]) {
    el(id).addEventListener("change", (event) => {
      view[key] = event.target.value;
      write();
      arranged();
    });
  }

  el("of-axes").append(
    ...names.map((name) => {
      const label = make("label");
      const box = make("input", "", { type: "checkbox", value: name });
      label.append(box, ` ${runs.columns.get(name).label}`);
      box.addEventListener("change", () => {
        view.own = box.checked ? [...view.names, name] : view.names.filter((one) => one !== name);
        write();
        arranged();
      });
      return label;
    }),
  );

  el("keep").addEventListener("click", () => step(true));
  el("exclude").addEventListener("click", () => step(false));
  const step = (isKept) => {
    view.steps.push({ isKept, slices: view.slices });
    view.slices = new Map();
    write();
    whole();
    el("again").focus();
  };
  el("again").addEventListener("click", () => {
    view.steps = [];
    view.slices = new Map();
    write();
    whole();
    el("of-x").focus();
  });

  el("save").addEventListener("click", () => {
    const cell = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const value = (column, run) => (runs.isMissing(column, run) ? "" : column.isWords ? column.words[column.values[run]] : `${Number((column.unit === "%" ? column.values[run] / 100 : column.values[run]).toPrecision(12))}`);
    const rows = [names.join(",")];
    for (let run = 0; run < runs.count; run += 1) if (view.chosen[run]) rows.push(names.map((name) => cell(value(runs.columns.get(name), run))).join(","));
    const link = make("a", "", { href: URL.createObjectURL(new Blob([`${rows.join("\n")}\n`], { type: "text/csv" })), download: "runs.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  // A slice of any column, in numbers or words.
  const menu = el("of-slice");
  const fields = el("slice-fields");
  menu.append(...names.map((name) => make("option", runs.columns.get(name).label, { value: name })));
  const fill = () => {
    const column = runs.columns.get(menu.value);
    const found = view.slices.get(column.name);
    if (column.isWords) {
      const present = axis(column.name).known.slice(0, MOST_WORDS).map((code) => column.words[code]);
      fields.replaceChildren(
        make("legend", column.label),
        ...present.map((word) => {
          const label = make("label");
          const box = make("input", "", { type: "checkbox", value: word, checked: found?.words?.has(word) ?? false });
          label.append(box, ` ${word}`);
          box.addEventListener("change", () => toggle(column.name, word));
          return label;
        }),
      );
      return;
    }
    const numbers = [["low", "At least"], ["high", "At most"]].map(([key, words]) => {
      const label = make("label", `${words} `);
      const input = make("input", "", { type: "number", step: "any", value: found?.[key] ?? "" });
      input.addEventListener("change", () => {
        const value = { low: null, high: null, ...view.slices.get(column.name), [key]: input.value === "" ? null : Number(input.value) };
        slice(column.name, value.low === null && value.high === null ? null : value);
      });
      label.append(input, column.unit ? ` ${column.unit}` : "");
      return label;
    });
    fields.replaceChildren(make("legend", column.label), ...numbers);
  };
  menu.addEventListener("change", fill);
  menu.closest("details").addEventListener("toggle", fill);

  const toggle = (name, word) => {
    const words = new Set(view.slices.get(name)?.words ?? []);
    if (!words.delete(word)) words.add(word);
    slice(name, words.size ? { words } : null);
  };

  const legend = () => {
    const { column } = axis(view.color);
    const { legend: found, ends: [low, high] = [] } = view.colors;
    const place = el("legend");
    const had = [...place.children].indexOf(document.activeElement);
    place.replaceChildren(make("span", `${column.label}:`));
    if (!found) {
      place.append(make("span", runs.number(column, low ?? 0)), make("span", "", { className: "ramp" }), make("span", runs.number(column, high ?? 0)));
      return;
    }
    for (const { word, color, count, others } of found) {
      const item = make(word === null ? "span" : "button", word === null ? `${others} others, ${count.toLocaleString("en")}` : `${word}, ${count.toLocaleString("en")}`);
      const dot = make("i");
      dot.style.background = color;
      item.prepend(dot);
      if (word !== null) {
        item.type = "button";
        item.setAttribute("aria-pressed", view.slices.get(column.name)?.words?.has(word) ?? false);
        item.addEventListener("click", () => toggle(column.name, word));
      }
      place.append(item);
    }
    if (had > 0) place.children[had]?.focus();
  };

  // ------------------------------------------------------------ a single run

  const page_of = (run) => {
    const { page } = runs.studies[runs.of[run]];
    const setting = runs.columns.get("setting");
    if (!page) return null;
    const name = setting && !runs.isMissing(setting, run) ? setting.words[setting.values[run]] : "";
    return `${encodeURIComponent(page)}${name ? `#designs=${encodeURIComponent(name)}` : ""}`;
  };

  const told = el("told-run");
  const tell = (run = view.picked) => {
    if (run < 0) {
      told.textContent = "Point at a mark, or go from mark to mark with the arrow keys, to see which run it is.";
      return;
    }
    const { study, page } = runs.studies[runs.of[run]];
    const shown = [...new Set(["setting", "seed", view.x, view.y, view.color])].filter((name) => runs.columns.has(name) && name !== "study");
    const parts = shown.map((name) => `${runs.columns.get(name).label} ${runs.words(runs.columns.get(name), run)}`);
    const link = page ? make("a", study, { href: page_of(run) }) : make("bdi", study);
    told.replaceChildren(link, `: ${parts.join("; ")}`);
  };

  const pick = (run) => {
    view.picked = run;
    drawn();
    tell();
  };

  const table = () => {
    const shown = [...new Set(["setting", "seed", view.x, view.y, view.color])].filter((name) => runs.columns.has(name) && name !== "study");
    const column = runs.columns.get(view.y);
    const order = [];
    for (let run = 0; run < runs.count; run += 1) if (view.chosen[run]) order.push(run);
    const value = (run) => (runs.isMissing(column, run) ? Infinity : column.values[run]);
    order.sort((one, other) => value(one) - value(other) || one - other);
    view.row = Math.min(view.row, Math.max(0, order.length - 1));
    const head = make("tr");
    head.append(make("th", "Study", { scope: "col" }), ...shown.map((name) => make("th", `${runs.columns.get(name).label}${runs.columns.get(name).unit ? ` (${runs.columns.get(name).unit})` : ""}`, { scope: "col" })));
    const rows = order.slice(view.row, view.row + ROWS).map((run) => {
      const row = make("tr");
      const cell = make("th", "", { scope: "row" });
      const address_of = page_of(run);
      const { study } = runs.studies[runs.of[run]];
      cell.append(address_of ? make("a", study, { href: address_of }) : make("bdi", study));
      row.append(cell, ...shown.map((name) => make("td", runs.words(runs.columns.get(name), run).replace(/\u00a0%$|\u00a0s$/, ""))));
      return row;
    });
    el("rows").tHead.replaceChildren(head);
    el("rows").tBodies[0].replaceChildren(...rows);
    const last = Math.min(order.length, view.row + ROWS);
    el("at").textContent = order.length ? `${(view.row + 1).toLocaleString("en")} to ${last.toLocaleString("en")} of ${order.length.toLocaleString("en")}, the lowest ${column.label.toLowerCase()} first` : "no run";
    const [back, on] = el("turn").querySelectorAll("button");
    back.disabled = view.row === 0;
    on.disabled = last >= order.length;
  };
  for (const button of el("turn").querySelectorAll("button")) {
    button.addEventListener("click", () => {
      view.row = Math.max(0, view.row + ROWS * Number(button.dataset.turn));
      table();
    });
  }

  // ------------------------------------------------------------ marks: pointer and keys

  const { canvas } = scatter;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * scatter.size.width) / box.width, ((event.clientY - box.top) * scatter.size.height) / box.height];
  };
  let from = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    from = at(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (from === null) {
      const run = scatter.nearest(view, x, y);
      tell(run < 0 ? view.picked : run);
      return;
    }
    if (Math.hypot(x - from[0], y - from[1]) < 5 && !view.brush) return;
    view.brush = { left: Math.min(x, from[0]), top: Math.min(y, from[1]), width: Math.abs(x - from[0]), height: Math.abs(y - from[1]) };
    const [[left, top], [right, bottom]] = [scatter.places(...from), scatter.places(x, y)];
    for (const [name, one, other] of [[view.x, left, right], [view.y, top, bottom]]) {
      const found = between(name, one, other);
      if (found) view.slices.set(name, found);
      else view.slices.delete(name);
    }
    soon();
  });
  const released = (event) => {
    if (from === null) return;
    const isBrush = view.brush !== null;
    view.brush = null;
    from = null;
    if (isBrush) {
      write();
      sliced();
    } else if (event.type === "pointerup") pick(scatter.nearest(view, ...at(event)));
  };
  canvas.addEventListener("pointerup", released);
  canvas.addEventListener("pointercancel", released);

  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowUp: ["y", -1], ArrowDown: ["y", 1], Home: ["x", -Infinity], End: ["x", Infinity] }[event.key];
    if (event.key === "Enter" && view.picked >= 0) {
      const where = page_of(view.picked);
      if (where) location.href = where;
      return;
    }
    if (event.key === "Escape") pick(-1);
    if (!by) return;
    event.preventDefault();
    const [of, other] = by[0] === "x" ? [scatter.x, scatter.y] : [scatter.y, scatter.x];
    const order = [];
    for (let run = 0; run < runs.count; run += 1) if (view.chosen[run] && !Number.isNaN(scatter.x[run]) && !Number.isNaN(scatter.y[run])) order.push(run);
    if (!order.length) return;
    order.sort((one, two) => of[one] - of[two] || other[one] - other[two] || one - two);
    const now = order.indexOf(view.picked);
    const next = now < 0 ? (by[1] > 0 && by[1] < Infinity ? 0 : by[1] === -Infinity ? 0 : order.length - 1) : Math.min(order.length - 1, Math.max(0, now + by[1]));
    pick(order[next]);
  });

  // ------------------------------------------------------------ parallel axes: order, ranges

  const per_cent = (value, whole_) => `${((100 * value) / whole_).toFixed(3)}%`;

  const moved = (place, to) => {
    const order = [...view.names];
    const end = Math.min(order.length - 1, Math.max(0, to));
    if (end === place) return false;
    order.splice(end, 0, ...order.splice(place, 1));
    view.own = order;
    write();
    arranged();
    el("heads").children[end].focus();
    return true;
  };

  const heads = () => {
    const buttons = view.names.map((name, place) => {
      const { label, unit } = runs.columns.get(name);
      const button = make("button", `${label}${unit ? ` (${unit})` : ""}`, { type: "button" });
      button.style.left = per_cent(lines.across[place], lines.size.width);
      button.setAttribute("aria-label", `${label}, axis ${place + 1} of ${view.names.length}: left and right arrow move it, Enter colours by it`);
      button.title = "Drag to move this axis; click to colour by it";
      let start = null;
      let isMoving = false;
      button.addEventListener("pointerdown", (event) => {
        start = event.clientX;
        button.setPointerCapture(event.pointerId);
      });
      button.addEventListener("pointermove", (event) => {
        if (start === null || (!isMoving && Math.abs(event.clientX - start) < 6)) return;
        isMoving = true;
        button.classList.add("moving");
        button.style.transform = `translateX(calc(-50% + ${event.clientX - start}px))`;
      });
      const stop = (event) => {
        if (start === null) return;
        const gone = event.clientX - start;
        start = null;
        if (!isMoving) return;
        button.classList.remove("moving");
        button.style.transform = "";
        const wide = lines.across.length > 1 ? lines.across[1] - lines.across[0] : 1;
        moved(place, place + Math.round(gone / wide));
      };
      button.addEventListener("pointerup", stop);
      button.addEventListener("pointercancel", stop);
      button.addEventListener("click", (event) => {
        if (isMoving && event.detail) {
          isMoving = false;
          return;
        }
        view.color = name;
        write();
        arranged();
        el("heads").children[place].focus();
      });
      button.addEventListener("keydown", (event) => {
        const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
        if (by === undefined) return;
        event.preventDefault();
        moved(place, place + by);
      });
      return button;
    });
    el("heads").replaceChildren(...buttons);
    const own = el("ranges");
    own.replaceChildren(...view.names.flatMap(strip));
  };

  // What lies over an axis: a strip to drag along, the range, and a handle at each of its ends.
  const strip = (name, place) => {
    const { width, height } = lines.size;
    const reach = lines.bottom - lines.TOP;
    const left = per_cent(lines.across[place], width);
    const parts = [make("div", "", { className: "strip" }), make("div", "", { className: "range" })];
    for (const part of parts) part.style.left = left;
    Object.assign(parts[0].style, { top: per_cent(lines.TOP, height), height: per_cent(reach, height) });
    const place_of = (event) => {
      const box = parts[0].getBoundingClientRect();
      return Math.min(1, Math.max(0, 1 - (event.clientY - box.top) / box.height));
    };
    const drag = (part, begin) => {
      let fixed = null;
      let start = 0;
      let isMoved = false;
      part.addEventListener("pointerdown", (event) => {
        fixed = begin(place_of(event));
        start = event.clientY;
        isMoved = false;
        part.setPointerCapture(event.pointerId);
        event.preventDefault();
        if (part.tabIndex === 0) part.focus();
      });
      part.addEventListener("pointermove", (event) => {
        if (fixed === null) return;
        if (!isMoved && Math.abs(event.clientY - start) < 4) return;
        isMoved = true;
        slice(name, between(name, fixed, place_of(event)), false);
      });
      const stop = () => {
        if (fixed === null) return;
        fixed = null;
        if (isMoved) slice(name, view.slices.get(name) ?? null);
        else if (part.tabIndex !== 0) slice(name, null); // a click on the strip takes the range away
      };
      part.addEventListener("pointerup", stop);
      part.addEventListener("pointercancel", stop);
    };
    drag(parts[0], (at_) => at_);
    for (const [end, words] of [[0, "from"], [1, "to"]]) {
      const handle = make("div", "", { className: "handle", tabIndex: 0 });
      handle.style.left = left;
      handle.dataset.axis = name;
      handle.dataset.end = end;
      handle.setAttribute("role", "slider");
      handle.setAttribute("aria-orientation", "vertical");
      handle.setAttribute("aria-label", `${runs.columns.get(name).label}, ${words}`);
      handle.setAttribute("aria-valuemin", 0);
      handle.setAttribute("aria-valuemax", 100);
      drag(handle, () => ends(name)[1 - end]);
      handle.addEventListener("keydown", (event) => {
        const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5, Home: -Infinity, End: Infinity, Delete: 0 }[event.key];
        if (by === undefined) return;
        event.preventDefault();
        const now = ends(name);
        if (!by) {
          slice(name, null);
          return;
        }
        const { stops } = axis(name);
        const nearest = stops.reduce((best, stop_, index) => (Math.abs(stop_ - now[end]) < Math.abs(stops[best] - now[end]) ? index : best), 0);
        const limit = end ? [stops.findIndex((stop_) => stop_ > now[0] + 1e-9), stops.length - 1] : [0, stops.findLastIndex((stop_) => stop_ < now[1] - 1e-9)];
        now[end] = stops[Math.min(limit[1], Math.max(limit[0], nearest + by))];
        slice(name, between(name, ...now));
      });
      parts.push(handle);
    }
    return parts;
  };

  const ranges = () => {
    const { height } = lines.size;
    const reach = lines.bottom - lines.TOP;
    const parts = [...el("ranges").children];
    view.names.forEach((name, place) => {
      const [, range, low, high] = parts.slice(4 * place, 4 * place + 4);
      const [from_, to] = ends(name);
      const found = view.slices.get(name);
      range.hidden = !found;
      range.style.top = per_cent(lines.bottom - reach * to, height);
      range.style.height = per_cent(reach * (to - from_), height);
      const column = runs.columns.get(name);
      const own = axis(name);
      const edge = (end) => {
        if (column.isWords) return own.known.length ? column.words[own.known.at(end ? -1 : 0)] : "none";
        return own.known.length ? runs.number(column, own.known.at(end ? -1 : 0)) : "none";
      };
      [low, high].forEach((handle, end) => {
        const where = end ? to : from_;
        handle.style.top = per_cent(lines.bottom - reach * where, height);
        handle.setAttribute("aria-valuenow", Math.round(100 * where));
        const told_ = found?.words
          ? own.known.filter((code) => found.words.has(column.words[code])).map((code) => column.words[code]).at(end ? -1 : 0)
          : (found && (end ? found.high : found.low)) ?? null;
        handle.setAttribute("aria-valuetext", found?.words ? (told_ ?? "none") : told_ === null ? `${edge(end)}, the end of the axis` : runs.number(column, told_));
      });
    });
  };

  // ------------------------------------------------------------ beginning

  if (runs.unread.length) {
    el("unread").textContent = `The runs of ${runs.unread.join(", ")} cannot be read here; explorer report draws this page again.`;
    el("unread").hidden = false;
  }
  read();
  addEventListener("popstate", read);
  addEventListener("hashchange", read);
  document.addEventListener("theme", repaint);
  for (const media of ["print", "(prefers-color-scheme: dark)"]) matchMedia(media).addEventListener("change", repaint);
  let width = section.clientWidth;
  new ResizeObserver(() => {
    if (!section.clientWidth || section.clientWidth === width) return;
    width = section.clientWidth;
    arranged();
  }).observe(section);
  root.dataset.ready = "yes";
})();
