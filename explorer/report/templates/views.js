// The figures: still pictures until plotly is there, then the same ones to point at, click and brush.
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let onPaper = false;
  const narrow = () => innerWidth < 600 || onPaper;
  const places = [...document.querySelectorAll(".plot")];
  let figures = null;
  let curves = null;
  let colors = null;
  let titles = null;
  let tables = null;
  const overlaid = new Set();
  const LONGEST_TITLE = 34; // letters of an axis's title on a phone
  const APART = 8; // fewest pixels between two labels of ticks
  const [LINE, LEADER] = [15, 14]; // pixels of a line of text, and from the end of a curve to its name
  const MOST_ROWS = 2000; // of the numbers of a figure; the record holds all

  // A title that is longer than a phone is wide, in two lines at the space nearest to its middle.
  const folded = (words) => {
    const spaces = [...words.matchAll(/ /g)].map((found) => found.index);
    if (words.length <= LONGEST_TITLE || !spaces.length) return words;
    const off = (place) => Math.abs(place - words.length / 2);
    const at = spaces.reduce((best, place) => (off(place) < off(best) ? place : best));
    return `${words.slice(0, at)}<br>${words.slice(at + 1)}`;
  };

  // A colour of the palette as the page shows it, in light and dark, and on paper as it is; any other colour as it is.
  const shade = (color) => {
    if (onPaper) return color;
    const place = typeof color === "string" ? colors.palette.indexOf(color.toLowerCase()) : -1;
    return place < 0 ? color : css(`--c${place}`);
  };
  const parts = (color) => [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
  const faded = (color) => `rgba(${parts(color).join(",")},0.16)`;
  const fills = (color) => colors.palette.find((one) => faded(one) === color.replaceAll(" ", ""));

  const painted = (trace) => {
    const result = { ...trace };
    for (const part of ["marker", "line"]) {
      if (trace[part]?.color) result[part] = { ...trace[part], color: shade(trace[part].color) };
    }
    const filled = trace.fillcolor && fills(trace.fillcolor);
    return filled ? { ...result, fillcolor: faded(shade(filled)) } : result;
  };

  // The labels below a figure that have room side by side: whole ones, their first lines, or fewer of these.
  const pen = document.createElement("canvas").getContext("2d");
  const width = (words) => Math.max(...words.split("<br>").map((line) => pen.measureText(line).width));
  const fitted = (place, layout, size) => {
    const { ticks, ends } = layout.meta ?? {};
    if (!ticks) return {};
    pen.font = `${size}px system-ui, sans-serif`;
    const room = place.clientWidth - layout.margin.l - layout.margin.r;
    const at = (value) => (((layout.xaxis.type === "log" ? Math.log10(value) : value) - ends[0]) / (ends[1] - ends[0])) * room;
    const free = ([values, words]) => {
      const boxes = values.map((value, number) => [at(value) - width(words[number]) / 2, at(value) + width(words[number]) / 2]);
      return boxes.every(([left], number) => !number || left - boxes[number - 1][1] >= APART);
    };
    const [tickvals, ticktext] = ticks.find(free) ?? ticks.at(-1).map((all) => all.slice(0, 1));
    return { tickvals, ticktext };
  };

  const themed = (layout, place) => {
    const size = onPaper ? 10 : narrow() ? 12 : 14;
    const axis = { gridcolor: css("--line"), linecolor: css("--line"), tickcolor: css("--line") };
    const result = {
      ...layout,
      dragmode: narrow() ? false : "select",
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: css("--text"), family: "system-ui, sans-serif", size },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--quiet"), activecolor: css("--text") },
      hoverlabel: { ...layout.hoverlabel, bgcolor: css("--panel"), bordercolor: css("--line"), font: { color: css("--text") } },
    };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      const title = { ...layout[name].title, font: { size }, text: narrow() ? folded(layout[name].title.text) : layout[name].title.text };
      result[name] = { ...layout[name], ...axis, title };
    }
    if (place) Object.assign(result.xaxis, fitted(place, layout, size));
    // The title of the vertical axis stands above it, to be read without turning one's head.
    const above = {
      text: result.yaxis.title.text, name: "title", showarrow: false, xref: "paper", yref: "paper", x: 0, y: 1, xanchor: "left",
      yanchor: "bottom", align: "left", xshift: -layout.margin.l + 2, yshift: 5, font: { weight: 600 },
    };
    result.yaxis.title = { text: "" };
    if (above.text.includes("<br>")) result.margin = { ...layout.margin, t: layout.margin.t + LINE };
    const ends = (layout.annotations ?? []).map((one) => ({ ...one, arrowcolor: shade(one.arrowcolor), font: { size } }));
    result.annotations = [...ends, above];
    return result;
  };

  // A picked design stands out in every view; with none picked all look as they were drawn.
  const marked = (trace) => {
    if (!trace.customdata) return trace;
    const names = [...trace.customdata];
    const some = page.picked.size > 0;
    if (trace.mode.startsWith("markers")) {
      const points = names.flatMap((name, place) => (page.picked.has(name) ? [place] : []));
      const opacity = some ? 1 : trace.opacity; // what is drawn faint is not, once it is picked
      return { ...trace, opacity, selectedpoints: some ? points : null, unselected: { marker: { opacity: 0.12 } } };
    }
    return { ...trace, opacity: some && !page.picked.has(names[0]) ? 0.12 : trace.opacity };
  };

  const pickedNames = () => [...page.picked].filter((name) => name in curves.all).slice(0, curves.most);

  // A design has its own colour, or where many share one that of its place among those that are picked.
  const curveColor = (setting, names) => {
    const own = names.map((name) => colors.settings[name] ?? colors.palette[0]);
    return new Set(own).size === own.length ? own[names.indexOf(setting)] : colors.palette[names.indexOf(setting) % colors.palette.length];
  };

  // The names at the ends of the picked curves, moved apart.
  const pickedEnds = (layout, place) => {
    const names = pickedNames();
    const last = (setting) => {
      const { epochs, val, train } = curves.all[setting];
      const y = val.some((one) => one !== null) ? val : train;
      const at = y.findLastIndex((one) => one !== null && one > 0);
      return { setting, x: epochs[at], y: y[at] };
    };
    const found = names.map(last).filter((one) => one.x !== undefined).sort((one, other) => other.y - one.y);
    const isLog = layout.yaxis.type === "log";
    const [low, high] = layout.yaxis.range;
    const tall = place.clientHeight - layout.margin.t - layout.margin.b;
    const up = (y) => tall * (1 - ((isLog ? Math.log10(y) : y) - low) / (high - low));
    let before = -Infinity;
    const heights = found.map((one) => (before = Math.max(up(one.y), before + LINE)));
    const over = Math.max(0, (heights.at(-1) ?? 0) - tall);
    return found.map((one, number) => ({
      x: one.x, y: isLog ? Math.log10(one.y) : one.y, text: curves.designs[one.setting]?.short ?? one.setting, name: "end", xanchor: "left",
      ax: LEADER, ay: heights[number] - over - up(one.y), arrowhead: 0, arrowwidth: 1, arrowcolor: curveColor(one.setting, names), borderpad: 0,
    }));
  };

  // Training curves of the picked designs, be they among those drawn at first or not.
  const pickedCurves = () => {
    const names = pickedNames();
    return names.flatMap((setting) => {
      const { epochs, val, low, high, train } = curves.all[setting];
      const color = curveColor(setting, names);
      const name = curves.designs[setting]?.name ?? setting;
      const line = (y, kind, more) => ({
        x: epochs, y, name, mode: "lines", line: { color, ...more }, showlegend: false,
        customdata: epochs.map(() => setting), hovertemplate: `${name}, ${kind}<br>epoch %{x}: %{y:.2f} %<extra></extra>`,
      });
      // A band breaks where there is no interval; one epoch between two gaps is drawn a little wide.
      const pieces = [];
      epochs.forEach((epoch, place) => {
        if (low[place] === null) return;
        if (!place || low[place - 1] === null) pieces.push([]);
        pieces.at(-1).push([epoch, low[place], high[place]]);
      });
      const wide = (piece) => (piece.length > 1 ? piece : [-0.25, 0.25].map((by) => [piece[0][0] + by, piece[0][1], piece[0][2]]));
      const outlines = pieces.map(wide).map((piece) => [...piece.map(([at, , top]) => [at, top]), ...piece.toReversed().map(([at, bottom]) => [at, bottom]), [null, null]]);
      const band = {
        x: outlines.flat().map(([at]) => at), fill: "toself", mode: "lines",
        y: outlines.flat().map(([, value]) => value),
        fillcolor: faded(color), line: { width: 0 }, hoverinfo: "skip", showlegend: false,
      };
      const lines = [line(val, "validation", { width: 2 }), line(train, "training", { width: 1.5, dash: "dot" })];
      return pieces.length ? [band, ...lines] : lines;
    });
  };

  const options = () => ({
    responsive: true,
    displaylogo: false,
    displayModeBar: narrow() ? false : "hover",
    // Nothing leaves this page: plotly's own buttons offer to send charts elsewhere.
    modeBarButtonsToRemove: ["autoScale2d", "zoomIn2d", "zoomOut2d", "toImage", "sendChartToCloud", "sendDataToCloud"],
    plotlyServerURL: "",
  });

  // Figures that are not drawn yet: of several to choose from only the one that is chosen.
  const waiting = () => places.filter((place) => !place.classList.contains("live") && !place.closest("[hidden]"));

  // One of several figures at a time, where a choice stands before them.
  const switched = [...document.querySelectorAll("[data-switched]")];
  for (const choice of document.querySelectorAll("fieldset.switch")) {
    choice.hidden = false;
    const own = new Set([...choice.querySelectorAll("input")].map((input) => input.value));
    const show = () => {
      const value = choice.querySelector("input:checked").value;
      for (const figure of switched) {
        if (own.has(figure.dataset.switched)) figure.hidden = figure.dataset.switched !== value;
      }
      if (titles) for (const place of waiting()) start(place);
    };
    choice.addEventListener("change", show);
    show();
  }

  const traces = (name) => {
    const own = name === "curves" ? pickedCurves() : [];
    if (own.length) return own.map(painted);
    return figures[name].data.map((trace) => painted(marked(trace.meta === "optional" ? { ...trace, visible: overlaid.has(name) } : trace)));
  };

  const layoutOf = (name, place) => {
    const { layout } = figures[name];
    if (name !== "curves" || !pickedNames().length) return layout;
    const annotations = pickedEnds(layout, place);
    const longest = Math.max(0, ...annotations.map((one) => 8 * one.text.length));
    return { ...layout, annotations, margin: { ...layout.margin, r: Math.max(layout.margin.r, longest + LEADER) } };
  };

  // Names of marks that would touch on a small screen are left out; pointing at a mark still tells its name.
  const uncovered = (place) => {
    const kept = [...place.querySelectorAll(".infolayer .annotation-text")].map((one) => one.getBoundingClientRect());
    for (const words of place.querySelectorAll(".textpoint text")) {
      const box = words.getBoundingClientRect();
      const inside = place.getBoundingClientRect();
      const meets = box.right > inside.right || kept.some((one) => box.left < one.right && one.left < box.right && box.top < one.bottom && one.top < box.bottom);
      words.style.visibility = meets ? "hidden" : "";
      if (!meets) kept.push(box);
    }
  };

  const draw = async (place) => {
    const name = place.dataset.figure;
    await Plotly.react(place, traces(name).map(told), themed(layoutOf(name, place), place), options());
    uncovered(place);
  };

  // What is told of a mark where the pointer is; files have the words as they are.
  const told = (trace) => (Array.isArray(trace.hovertext) ? { ...trace, hovertext: trace.hovertext.map(page.typeset) } : trace);

  const named = (points) => points.map((point) => point.customdata).filter(Boolean);

  // The same figure as a file, with its title, on the page's ground.
  const saved = async (name, format) => {
    if (!(name in figures)) return savedStill(name, format);
    const place = document.querySelector(`[data-figure="${name}"]`);
    const layout = themed(layoutOf(name, place), { clientWidth: 1000 });
    const title = { text: titles[name].replaceAll("&", "&amp;").replaceAll("<", "&lt;"), x: 0.01, xanchor: "left", y: 0.985, yanchor: "top", font: { size: 15 } };
    const data = traces(name);
    const entries = data.filter((trace) => trace.visible !== false && trace.showlegend !== false && trace.name);
    const margin = { ...layout.margin, t: (layout.margin.t ?? 8) + 40 + 24 * Math.ceil(entries.length / 3) };
    const figure = { data, layout: { ...layout, title, margin, paper_bgcolor: css("--page") } };
    const address = await Plotly.toImage(figure, { format, width: 1000, height: 520, scale: format === "png" ? 2 : 1 });
    const content = address.slice(address.indexOf(",") + 1);
    const bytes = format === "svg" ? decodeURIComponent(content) : Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    page.save(new Blob([bytes], { type: format === "svg" ? "image/svg+xml" : "image/png" }), `-${name}.${format}`);
  };

  // A still picture as a file: the page's style goes with it.
  const savedStill = (name, format) => {
    const svg = document.querySelector(`[data-figure="${name}"] svg.still`).cloneNode(true);
    const style = `text{fill:${css("--text")};font:13.5px system-ui,sans-serif}.grid{stroke:${css("--line")}}.over{paint-order:stroke;stroke:${css("--page")};stroke-width:3px}.faint{opacity:.12}:root{${colors.palette.map((_, place) => `--c${place}:${css(`--c${place}`)}`).join(";")}}.strip{fill:none}.range{fill:${css("--accent")};fill-opacity:.3}`;
    svg.insertAdjacentHTML("afterbegin", `<style>${style}</style><rect width="100%" height="100%" fill="${css("--page")}"/>`);
    return page.savePicture(svg, format, `-${name}`);
  };

  // The numbers that a figure shows: for whoever cannot see it, or wants them elsewhere.
  const numbersOf = (name) => {
    if (name in tables) return tables[name];
    const plain = (text) => text.replaceAll("<br>", ", ").replaceAll("&lt;", "<").replaceAll("&amp;", "&");
    const { layout } = figures[name];
    const title = (axis) => plain(axis.title.text).replace(/, logarithmic$/, "");
    const rows = traces(name)
      .filter((trace) => trace.fill !== "toself" && (trace.hovertext || trace.hovertemplate) && trace.visible !== false)
      .flatMap((trace) => trace.x.map((x, place) => [plain(trace.hovertext?.[place] ?? trace.name), x, trace.y[place]]));
    return { columns: ["Mark", title(layout.xaxis), title(layout.yaxis)], rows };
  };

  const shown = (value) => {
    if (typeof value !== "number") return value ?? "";
    return (Number.isInteger(value) ? value : Number(value.toPrecision(5))).toLocaleString("en", { maximumFractionDigits: 6 });
  };

  const numbers = (name) => {
    const table = document.createElement("table");
    const { columns, rows } = numbersOf(name);
    const line = (section, kind, words) => {
      const row = section.insertRow();
      for (const word of words) row.append(Object.assign(document.createElement(kind), { textContent: page.typeset(String(word)) }));
    };
    line(table.createTHead(), "th", columns);
    const body = table.createTBody();
    for (const row of rows.slice(0, MOST_ROWS)) line(body, "td", row.map(shown));
    if (rows.length > MOST_ROWS) line(body, "td", [`${rows.length - MOST_ROWS} more are in the files`, ...columns.slice(1).map(() => "")]);
    return table;
  };

  // Numbers as files: as they are in CSV, as they are shown in LaTeX.
  const exact = (value) => String(typeof value === "number" ? Number(value.toPrecision(12)) : (value ?? ""));
  const TEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}", "\u2212": "$-$" };
  const tex = (value) => String(shown(value)).replace(/[\\~^<>\u2212&%$#_{}]/g, (letter) => TEX[letter] ?? `\\${letter}`);
  const written = {
    csv: ({ columns, rows }) => [columns, ...rows].map((row) => `${row.map((value) => page.quoted(exact(value))).join(",")}\n`).join(""),
    tex: ({ columns, rows }) => {
      const line = (row) => `${row.map(tex).join(" & ")} \\\\\n`;
      return `\\begin{tabular}{l${"r".repeat(columns.length - 1)}}\n\\hline\n${line(columns)}\\hline\n${rows.map(line).join("")}\\hline\n\\end{tabular}\n`;
    },
  };

  const tooled = (place) => {
    const name = place.dataset.figure;
    const tools = document.createElement("div");
    tools.className = "figure-tools";
    for (const format of ["svg", "png"]) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: format.toUpperCase() });
      button.setAttribute("aria-label", `${titles[name]}, as ${format.toUpperCase()}`);
      button.addEventListener("click", () => saved(name, format));
      tools.append(button);
    }
    if (name in figures || name in tables) {
      const more = document.createElement("details");
      const scroll = Object.assign(document.createElement("div"), { className: "scroll", tabIndex: 0 });
      scroll.setAttribute("role", "region");
      scroll.setAttribute("aria-label", `Numbers of: ${titles[name]}`);
      more.append(Object.assign(document.createElement("summary"), { textContent: "Numbers" }), scroll);
      const files = Object.entries({ csv: "CSV", tex: "LaTeX" }).map(([ending, words]) => {
        const button = Object.assign(document.createElement("button"), { type: "button", textContent: words });
        button.setAttribute("aria-label", `Numbers of ${titles[name]}, as ${words}`);
        button.addEventListener("click", () => page.save(new Blob([written[ending](numbersOf(name))], { type: "text/plain" }), `-${name}.${ending}`));
        return button;
      });
      more.append(...files);
      more.addEventListener("toggle", () => scroll.replaceChildren(...(more.open ? [numbers(name)] : [])));
      tools.append(more);
    }
    place.after(tools);
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", titles[name]);
  };

  const start = async (place) => {
    if (place.classList.contains("live")) return;
    place.classList.add("live");
    if (!(place.dataset.figure in figures)) {
      if (place.classList.contains("rowed")) page.rows(place);
      else page.parallel(place);
      tooled(place);
      return;
    }
    place.querySelector("svg.still").remove();
    place.removeAttribute("tabindex"); // nothing is left to push aside
    await draw(place);
    tooled(place);
    place.on("plotly_click", (event) => {
      const [name] = named(event.points);
      if (name) page.toggle(name);
    });
    place.on("plotly_selected", (event) => {
      if (event && event.points.length) page.pick(named(event.points));
    });
    place.on("plotly_deselect", () => page.pick([]));
  };

  const redraw = () => {
    for (const place of places.filter((one) => one.classList.contains("js-plotly-plot"))) draw(place);
  };

  const plotly = async () => {
    const address = URL.createObjectURL(new Blob([await page.unpack("plotly")], { type: "text/javascript" }));
    await new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.addEventListener("load", resolve);
      script.addEventListener("error", reject);
      script.src = address;
      document.head.append(script);
    });
    URL.revokeObjectURL(address);
  };

  const begin = async () => {
    const data = JSON.parse(await page.unpack("data"));
    figures = data.figures;
    titles = data.titles;
    tables = data.tables;
    curves = { all: data.curves, designs: data.designs, most: data.most };
    colors = { palette: data.palette, settings: data.colors };
    page.cards(data.designs, data.error);
    await plotly();
    for (const place of waiting()) {
      await start(place);
      // Between two figures the page answers to whoever scrolls or types.
      await new Promise((resolve) => setTimeout(resolve));
    }
    for (const box of document.querySelectorAll("[data-overlay]")) {
      box.closest(".overlay").hidden = false;
      box.addEventListener("change", () => {
        if (box.checked) overlaid.add(box.dataset.overlay);
        else overlaid.delete(box.dataset.overlay);
        redraw();
      });
    }
    page.listeners.push(redraw);
    document.addEventListener("theme", redraw);
    // The ground of paper is white: the palette is that of light pages there.
    const printed = (is) => {
      onPaper = is;
      document.documentElement.classList.toggle("printed", is);
      redraw();
    };
    addEventListener("beforeprint", () => printed(true));
    addEventListener("afterprint", () => printed(false));
    let [wide, later] = [innerWidth, 0];
    addEventListener("resize", () => {
      if (innerWidth === wide) return; // as where a phone shows or hides its bars
      wide = innerWidth;
      clearTimeout(later);
      later = setTimeout(redraw, 200);
    });
    document.documentElement.dataset.ready = "yes";
  };

  page.read();
  begin();
})();
