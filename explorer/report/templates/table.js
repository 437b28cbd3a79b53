// The table of settings: sort, search, columns, and files made here from the numbers of the record.
(() => {
  const table = document.getElementById("settings");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows];
  const search = document.getElementById("search");
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;

  const compare = (column, sign) => (one, other) => {
    const [left, right] = [value(one, column), value(other, column)];
    const [a, b] = [Number(left), Number(right)];
    const empty = (left === "") - (right === "");
    if (empty) return empty;
    return sign * (left !== "" && Number.isFinite(a) && Number.isFinite(b) ? a - b : left.localeCompare(right));
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      body.append(...rows.sort(compare(column, rising ? 1 : -1)));
    });
  });

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = `${row.dataset.setting} ${row.cells[0].textContent}`.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    document.getElementById("shown").textContent = shown === rows.length ? "" : `${shown} of ${rows.length} shown`;
  };
  search.addEventListener("input", filter);

  const choices = document.getElementById("columns");
  heads.forEach((head, column) => {
    if (column === 0) return;
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => {
      for (const row of [table.tHead.rows[0], ...rows]) row.cells[column].hidden = !box.checked;
    });
    label.append(box, head.textContent);
    choices.append(label);
  });

  // An interval is one cell for people and two for a file.
  const both = (first, cell) => (cell.dataset.more === undefined ? [first] : [first, cell.dataset.more]);
  const names = () => heads.flatMap((head) => both(head.dataset.name, head));
  const shown = () => [...body.rows].filter((row) => !row.hidden);
  const cells = (row) => heads.flatMap((_, column) => both(value(row, column), row.cells[column]));
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const files = {
    csv: () => [names(), ...shown().map(cells)].map((line) => line.map(quoted).join(",")).join("\n") + "\n",
    json: () => {
      const typed = (text) => (text === "" ? null : Number.isFinite(Number(text)) ? Number(text) : text);
      const entry = (row) => Object.fromEntries(cells(row).map((text, column) => [names()[column], typed(text)]));
      return JSON.stringify(shown().map(entry), null, 2) + "\n";
    },
  };
  for (const button of document.querySelectorAll("button[data-file]")) {
    button.addEventListener("click", () => {
      const kind = button.dataset.file;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([files[kind]()], { type: kind === "csv" ? "text/csv" : "application/json" }));
      link.download = `${table.dataset.study}.${kind}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  for (const row of rows) {
    row.querySelector("button.pick").addEventListener("click", () => page.toggle(row.dataset.setting));
  }
  const mark = () => {
    for (const row of rows) {
      const is = page.picked.has(row.dataset.setting);
      row.classList.toggle("picked", is);
      row.querySelector("button.pick").setAttribute("aria-pressed", String(is));
    }
  };
  page.listeners.push(mark);
  mark();
  document.getElementById("sorting").hidden = false;
})();
