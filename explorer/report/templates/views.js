// The figures: still pictures until plotly is there, then the same ones to point at, click and brush.
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const narrow = () => innerWidth < 600;
  const places = [...document.querySelectorAll(".plot")];
  let figures = null;
  let curves = null;
  let titles = null;
  const overlaid = new Set();
  const LONGEST_TITLE = 34; // letters of an axis's title on a phone
  const MOST_ROWS = 2000; // of the numbers of a figure; the record holds all

  // A title that is longer than a phone is wide, in two lines at the space nearest to its middle.
  const folded = (words) => {
    const spaces = [...words.matchAll(/ /g)].map((found) => found.index);
    if (words.length <= LONGEST_TITLE || !spaces.length) return words;
    const off = (place) => Math.abs(place - words.length / 2);
    const at = spaces.reduce((best, place) => (off(place) < off(best) ? place : best));
    return `${words.slice(0, at)}<br>${words.slice(at + 1)}`;
  };

  const themed = (layout) => {
    const axis = { gridcolor: css("--line"), linecolor: css("--line"), tickcolor: css("--line") };
    const result = {
      ...layout,
      dragmode: narrow() ? false : "select",
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: css("--text"), family: "system-ui, sans-serif", size: narrow() ? 12 : 14 },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--quiet"), activecolor: css("--text") },
      hoverlabel: { ...layout.hoverlabel, bgcolor: css("--panel"), bordercolor: css("--line"), font: { color: css("--text") } },
    };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      const title = { ...layout[name].title, text: narrow() ? folded(layout[name].title.text) : layout[name].title.text };
      result[name] = { ...layout[name], ...axis, title };
    }
    return result;
  };

  // A picked design stands out in every view; with none picked all look as they were drawn.
  const marked = (trace) => {
    if (!trace.customdata) return trace;
    const names = [...trace.customdata];
    const some = page.picked.size > 0;
    if (trace.mode === "markers") {
      const points = names.flatMap((name, place) => (page.picked.has(name) ? [place] : []));
      const opacity = some ? 1 : trace.opacity; // what is drawn faint is not, once it is picked
      return { ...trace, opacity, selectedpoints: some ? points : null, unselected: { marker: { opacity: 0.12 } } };
    }
    return { ...trace, opacity: some && !page.picked.has(names[0]) ? 0.12 : trace.opacity };
  };

  // Training curves of the picked designs, be they among those drawn at first or not.
  const pickedCurves = () => {
    const names = [...page.picked].filter((name) => name in curves.all).slice(0, curves.most);
    return names.flatMap((setting, number) => {
      const { epochs, val, low, high, train } = curves.all[setting];
      const color = curves.palette[number % curves.palette.length];
      const [red, green, blue] = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
      const name = curves.designs[setting]?.name ?? setting;
      const line = (y, kind, more) => ({
        x: epochs, y, name, mode: "lines", line: { color, ...more }, showlegend: kind === "validation",
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
        fillcolor: `rgba(${red},${green},${blue},0.16)`, line: { width: 0 }, hoverinfo: "skip", showlegend: false,
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
    if (own.length) return own;
    return figures[name].data.map((trace) => marked(trace.meta === "optional" ? { ...trace, visible: overlaid.has(name) } : trace));
  };

  const draw = (place) => {
    const name = place.dataset.figure;
    return Plotly.react(place, traces(name), themed(figures[name].layout), options());
  };

  const named = (points) => points.map((point) => point.customdata).filter(Boolean);

  // The same figure as a file, with its title, on the page's ground.
  const saved = async (name, format) => {
    if (!(name in figures)) return savedStill(name, format);
    const layout = themed(figures[name].layout);
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

  // A still picture as a file: the page's style goes with it, and a canvas makes it a PNG.
  const savedStill = async (name, format) => {
    const svg = document.querySelector(`[data-figure="${name}"] svg.still`).cloneNode(true);
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const style = `text{fill:${css("--text")};font:13.5px system-ui,sans-serif}.grid{stroke:${css("--line")}}.over{paint-order:stroke;stroke:${css("--page")};stroke-width:3px}.faint{opacity:.12}.strip{fill:none}.range{fill:${css("--accent")};fill-opacity:.3}`;
    svg.insertAdjacentHTML("afterbegin", `<style>${style}</style><rect width="100%" height="100%" fill="${css("--page")}"/>`);
    svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    const picture = new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" });
    if (format === "svg") return page.save(picture, `-${name}.svg`);
    const image = new Image();
    const address = URL.createObjectURL(picture);
    image.src = address;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: 2 * width, height: 2 * height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(address);
    return canvas.toBlob((blob) => page.save(blob, `-${name}.png`));
  };

  // The numbers that a figure shows, as a table: for whoever cannot see it, or wants to know.
  const numbers = (name) => {
    const plain = (text) => text.replaceAll("<br>", ", ").replaceAll("&lt;", "<").replaceAll("&amp;", "&");
    const { layout } = figures[name];
    const table = document.createElement("table");
    const line = (section, kind, words) => {
      const row = section.insertRow();
      for (const word of words) row.append(Object.assign(document.createElement(kind), { textContent: word }));
    };
    const head = table.createTHead();
    const title = (axis) => plain(axis.title.text).replace(/, logarithmic$/, "");
    line(head, "th", ["Mark", title(layout.xaxis), title(layout.yaxis)]);
    const body = table.createTBody();
    const shown = (number) => (typeof number === "number" ? (Number.isInteger(number) ? number : Number(number.toPrecision(5))).toLocaleString("en", { maximumFractionDigits: 6 }) : (number ?? ""));
    const rows = traces(name)
      .filter((trace) => trace.fill !== "toself" && (trace.text || trace.hovertemplate) && trace.visible !== false)
      .flatMap((trace) => trace.x.map((x, place) => [plain(trace.text?.[place] ?? trace.name), shown(x), shown(trace.y[place])]));
    for (const row of rows.slice(0, MOST_ROWS)) line(body, "td", row);
    if (rows.length > MOST_ROWS) line(body, "td", [`${rows.length - MOST_ROWS} more are in the record`, "", ""]);
    return table;
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
    if (name in figures) {
      const more = document.createElement("details");
      const scroll = Object.assign(document.createElement("div"), { className: "scroll", tabIndex: 0 });
      scroll.setAttribute("role", "region");
      scroll.setAttribute("aria-label", `Numbers of: ${titles[name]}`);
      more.append(Object.assign(document.createElement("summary"), { textContent: "Numbers" }), scroll);
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
      page.parallel(place);
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
    curves = { all: data.curves, designs: data.designs, palette: data.palette, most: data.most };
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
    document.documentElement.dataset.ready = "yes";
  };

  page.read();
  begin();
})();
