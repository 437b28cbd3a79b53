// The page of a study that is not complete reloads itself, in a moment in which nobody uses it, and looks afterwards as
// it did before: what is picked stands in the address, the rest is kept for this tab.
(() => {
  const label = document.getElementById("reload");
  const search = document.getElementById("search");
  const key = `reload ${location.pathname}`;
  const find = (selector) => [...document.querySelectorAll(selector)];
  const words = (element) => element.textContent;

  // Storage may be forbidden; then a reloaded page is as new.
  const load = () => {
    try {
      return JSON.parse(sessionStorage.getItem(key)) ?? {};
    } catch {
      return {};
    }
  };
  const keep = (value) => {
    try {
      sessionStorage.setItem(key, JSON.stringify(value));
    } catch {
      // As above.
    }
  };

  const kept = load();
  const zooms = {};
  const inputs = "#columns input, fieldset.switch input";
  const overlays = "[data-overlay]";
  const choices = (selector) => find(selector).map((input) => [input, input.dataset.overlay ?? words(input.closest("label"))]);
  const details = () => find("details > summary").map((summary) => {
    const figure = summary.closest("figure")?.querySelector("[data-figure]");
    return [summary.parentElement, `${words(summary)} ${figure?.dataset.figure ?? ""}`];
  });
  const sorted = () => document.querySelector("#settings th[aria-sort]");
  const row = () => parseInt(document.querySelector("#pages span").textContent, 10); // the first one of the table's page

  const view = () => ({
    scroll: scrollY,
    sort: sorted() && [sorted().dataset.name, sorted().getAttribute("aria-sort")],
    row: row(),
    chosen: choices(`${inputs}, ${overlays}`).flatMap(([input, name]) => (input.checked ? [name] : [])),
    open: details().flatMap(([one, name]) => (one.open ? [name] : [])),
    zooms,
  });

  const choose = (old, selector) => {
    for (const [input, name] of choices(selector)) {
      const is = old.chosen.includes(name);
      if (input.checked !== is && (is || input.type === "checkbox")) input.click();
    }
  };

  const open = (old) => {
    for (const [one, name] of details()) one.open ||= old.open.includes(name);
  };

  const restore = (old) => {
    const button = old.sort && document.querySelector(`#settings th[data-name="${CSS.escape(old.sort[0])}"] button`);
    if (button) {
      button.click();
      if (sorted().getAttribute("aria-sort") !== old.sort[1]) button.click();
    }
    const next = document.querySelector('#pages [data-turn="1"]');
    while (row() < old.row && !next.disabled) next.click();
    choose(old, inputs);
    open(old);
    scrollTo(0, old.scroll);
  };

  // Cards, figures and their numbers take their place later.
  const finish = (old) => {
    choose(old, overlays);
    open(old);
    for (const place of find(".js-plotly-plot")) {
      const zoom = old.zooms[place.dataset.figure];
      if (zoom) Plotly.relayout(place, zoom);
    }
    if (!isMoved) scrollTo(0, old.scroll);
  };

  // Which part of each figure is looked at. One of several to choose from is drawn when it is chosen.
  const followed = new Set();
  const follow = () => {
    for (const place of find(".js-plotly-plot").filter((one) => !followed.has(one))) {
      followed.add(place);
      const name = place.dataset.figure;
      place.on("plotly_relayout", (event) => {
        const axes = Object.entries(event).filter(([one]) => /^[xy]axis\d*\.(range|autorange)/.test(one));
        const whole = axes.some(([one]) => one.endsWith("autorange"));
        if (axes.length) zooms[name] = { ...(whole ? {} : zooms[name]), ...Object.fromEntries(axes) };
      });
    }
  };

  let last = performance.now();
  let isMoved = false;
  for (const kind of ["pointermove", "pointerdown", "wheel", "keydown", "touchmove"]) {
    addEventListener(kind, () => {
      last = performance.now();
      isMoved ||= kind !== "pointermove"; // which a browser also sends where the page moved, not the pointer
    }, { passive: true });
  }

  const old = kept.view;
  if (old) {
    keep({ ...kept, view: undefined });
    restore(old);
  }
  const ready = () => document.documentElement.dataset.ready === "yes";
  new MutationObserver((_, observer) => {
    if (!ready()) return;
    observer.disconnect();
    last = performance.now(); // a page that takes long to draw is looked at as long as others
    follow();
    if (old) finish(old);
  }).observe(document.documentElement, { attributeFilter: ["data-ready"] });

  if (!label) return;
  const box = label.querySelector("input");
  box.checked = kept.reload ?? true;
  box.addEventListener("change", () => keep({ ...load(), reload: box.checked }));
  const pause = 1000 * Number(label.dataset.seconds);
  setInterval(() => {
    if (ready()) follow();
    const isUsed = document.hidden || document.activeElement === search || search.value !== "";
    if (!box.checked || isUsed || !ready() || performance.now() - last < pause) return;
    keep({ reload: box.checked, view: view() });
    location.reload();
  }, Math.min(500, pause / 4));
})();
