// The figures: still pictures until plotly is there, then the same ones to point at, click and brush.
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const narrow = () => innerWidth < 600;
  const places = [...document.querySelectorAll(".plot")];
  let figures = null;
  let curves = null;
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999"];
  const MOST_CURVES = 12;

  const themed = (layout) => {
    const axis = { gridcolor: css("--line"), linecolor: css("--line"), tickcolor: css("--line") };
    const result = {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: css("--text"), family: "system-ui, sans-serif", size: narrow() ? 12 : 14 },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--quiet"), activecolor: css("--text") },
      hoverlabel: { ...layout.hoverlabel, bgcolor: css("--panel"), bordercolor: css("--line"), font: { color: css("--text") } },
    };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      result[name] = { ...layout[name], ...axis };
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
      return { ...trace, selectedpoints: some ? points : null, unselected: { marker: { opacity: 0.12 } } };
    }
    return { ...trace, opacity: some && !page.picked.has(names[0]) ? 0.12 : trace.opacity };
  };

  // Training curves of the picked designs, be they among those drawn at first or not.
  const pickedCurves = () => {
    const names = [...page.picked].filter((name) => name in curves.all).slice(0, MOST_CURVES);
    return names.flatMap((setting, number) => {
      const { epochs, val, low, high, train } = curves.all[setting];
      const color = COLOURS[number % COLOURS.length];
      const [red, green, blue] = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
      const name = curves.designs[setting]?.name ?? setting;
      const line = (y, kind, more) => ({
        x: epochs, y, name, mode: "lines", line: { color, ...more }, showlegend: kind === "validation",
        customdata: epochs.map(() => setting), hovertemplate: `${name}, ${kind}<br>epoch %{x}: %{y:.2f} %<extra></extra>`,
      });
      const band = {
        x: [...epochs, ...[...epochs].reverse()], y: [...high, ...[...low].reverse()], fill: "toself", mode: "lines",
        fillcolor: `rgba(${red},${green},${blue},0.16)`, line: { width: 0 }, hoverinfo: "skip", showlegend: false,
      };
      const lines = [line(val, "validation", { width: 2 }), line(train, "training", { width: 1.5, dash: "dot" })];
      return low[0] === null ? lines : [band, ...lines];
    });
  };

  const options = () => ({
    responsive: true,
    displaylogo: false,
    displayModeBar: narrow() ? false : "hover",
    modeBarButtonsToRemove: ["autoScale2d", "zoomIn2d", "zoomOut2d"],
  });

  // One of several figures at a time, where a choice stands before them.
  const switched = [...document.querySelectorAll("[data-switched]")];
  for (const choice of document.querySelectorAll("fieldset.switch")) {
    choice.hidden = false;
    const show = () => {
      const value = choice.querySelector("input:checked").value;
      for (const figure of switched) figure.hidden = figure.dataset.switched !== value;
      if (window.Plotly) dispatchEvent(new Event("resize"));
    };
    choice.addEventListener("change", show);
    show();
  }

  const draw = (place) => {
    const name = place.dataset.figure;
    const figure = figures[name];
    const own = name === "curves" ? pickedCurves() : [];
    return Plotly.react(place, own.length ? own : figure.data.map(marked), themed(figure.layout), options());
  };

  const named = (points) => points.map((point) => point.customdata).filter(Boolean);

  const start = async (place) => {
    place.querySelector("svg.still").remove();
    await draw(place);
    place.classList.add("live");
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
    for (const place of places.filter((one) => one.classList.contains("live"))) draw(place);
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
    curves = { all: data.curves, designs: data.designs };
    page.cards(data.designs, data.error);
    await plotly();
    for (const place of places) {
      await start(place);
      // Between two figures the page answers to whoever scrolls or types.
      await new Promise((resolve) => setTimeout(resolve));
    }
    page.listeners.push(redraw);
    document.addEventListener("theme", redraw);
    document.documentElement.dataset.ready = "yes";
  };

  page.read();
  begin();
})();
