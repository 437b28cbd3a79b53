// A figure with a row for each design: a click on a row, or Enter on it, picks its design.
page.rows = (place) => {
  const rows = [...place.querySelectorAll("g.row")];
  for (const svg of place.querySelectorAll("svg.still")) {
    // A picture has no parts for whoever listens to it; a group of buttons has.
    svg.setAttribute("role", "group");
    const own = [...svg.querySelectorAll("g.row")];
    own.forEach((row, number) => {
      row.setAttribute("role", "button");
      row.setAttribute("aria-label", row.querySelector("title")?.textContent.replaceAll("\n", ", ") ?? row.dataset.setting);
      row.setAttribute("tabindex", number ? "-1" : "0"); // one stop for Tab; arrows go on from there
      row.addEventListener("click", () => page.toggle(row.dataset.setting));
      row.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") page.toggle(row.dataset.setting);
        else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
          const next = own[number + (event.key === "ArrowDown" ? 1 : -1)];
          if (next) {
            row.setAttribute("tabindex", "-1");
            next.setAttribute("tabindex", "0");
            next.focus();
          }
        } else return;
        event.preventDefault();
      });
    });
  }
  place.removeAttribute("tabindex");
  const mark = () => {
    const some = page.picked.size > 0;
    for (const row of rows) {
      const is = page.picked.has(row.dataset.setting);
      row.classList.toggle("faint", some && !is);
      row.setAttribute("aria-pressed", String(is));
    }
  };
  page.listeners.push(mark);
  mark();
};
