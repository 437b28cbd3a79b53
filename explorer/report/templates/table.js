// The table of settings: sort, search, columns, pages, and files made here from the numbers of the record.
(() => {
  const table = document.getElementById("settings");
  const PAGE = Number(table.dataset.page);
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const search = document.getElementById("search");
  const pages = document.getElementById("pages");
  const pick = document.getElementById("pick-shown");
  let rows = [...body.rows];
  let found = rows;
  let first = 0;
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const setting = (row) => row.dataset.setting;

  // Only the rows of one page are laid out on a screen: thousands would keep the figures waiting. Paper has no pages to
  // turn: the style sheet alone lets the first of all that was found be printed, and how many more there are, for what a
  // script shows while it prints is lost.
  const show = (from) => {
    first = Math.max(0, Math.min(from, found.length - 1));
    first -= first % PAGE;
    const kept = new Set(found);
    const seen = new Set(found.slice(first, first + PAGE));
    const printed = new Set(found.slice(0, PAGE));
    for (const row of rows) {
      row.hidden = !kept.has(row);
      row.classList.toggle("away", !seen.has(row));
      row.classList.toggle("unprinted", !printed.has(row));
    }
    const more = found.length - PAGE;
    const left = rows.length - found.length;
    const filtered = left ? ` The search leaves out ${left.toLocaleString("en")}.` : "";
    document.getElementById("more").textContent = more > 0 ? `${more.toLocaleString("en")} more are in the record.${filtered}` : filtered;
    const last = Math.min(first + PAGE, found.length);
    pages.hidden = found.length <= PAGE;
    pages.querySelector("span").textContent = `${first + 1} to ${last} of ${found.length}`;
    for (const button of pages.querySelectorAll("button")) {
      button.disabled = button.dataset.turn < 0 ? first === 0 : last === found.length;
    }
  };

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
    if (head.dataset.word) button.setAttribute("aria-describedby", `word-${head.dataset.word}`);
    head.append(button);
    button.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      rows.sort(compare(column, rising ? 1 : -1));
      body.append(...rows);
      filter();
    });
  });

  // A word is part of a name, or holds a column to a number: cardinality>=8, params<5M, error<5 (in percent). What is
  // neither is said, and does not hide what the other words find.
  const UNITS = { k: 1e3, m: 1e6, g: 1e9 };
  const HOLDS = {
    "<": (a, b) => a < b, "<=": (a, b) => a <= b, "=": (a, b) => a === b, ">=": (a, b) => a >= b, ">": (a, b) => a > b,
  };
  const plain = (words) => words.toLowerCase().replace(/[^a-z0-9]/g, "");
  // The names of a column: that of the record, its symbol, and its words on the page.
  const called = heads.map((head) => {
    const own = [head.dataset.name, head.dataset.symbol ?? "", head.textContent, ...(head.dataset.name.endsWith("_error") ? ["error"] : [])];
    return new Set(own.map(plain));
  });
  let complaint = "";
  const meant = (word) => {
    const told = /^([^<>=]*)(<=|>=|<|>|=)(.*)$/.exec(word);
    if (!told) {
      const has = (row) => `${setting(row)} ${row.cells[0].textContent}`.toLowerCase().includes(word);
      if (!rows.some(has)) complaint = `no name has ${word} in it`;
      return has;
    }
    const column = called.findIndex((names) => names.has(plain(told[1])));
    const held = /^(-?(?:\d+\.?\d*|\.\d+))([kmg]?)%?$/.exec(told[3].replace("\u2212", "-"));
    if (column < 0) {
      complaint = `there is no column ${told[1] || "before " + told[2]}; there are ${heads.slice(1).map((head) => head.dataset.name).join(", ")}`;
    } else if (!held) {
      complaint = told[3] ? `${told[3]} is not a number` : `a number is missing after ${word}`;
    }
    if (column < 0 || !held) return () => true;
    const limit = Number(held[1]) * (UNITS[held[2]] ?? 1);
    const scale = heads[column].dataset.unit === "percent" ? 100 : 1;
    return (row) => value(row, column) !== "" && HOLDS[told[2]](scale * Number(value(row, column)), limit);
  };

  const filter = () => {
    complaint = "";
    const asked = search.value.toLowerCase().replace(/\s*(<=|>=|<|>|=)\s*/g, "$1");
    const tests = asked.split(/\s+/).filter(Boolean).map(meant);
    found = rows.filter((row) => tests.every((test) => test(row)));
    const all = found.length === rows.length;
    const count = all ? "" : `${found.length} of ${rows.length} found`;
    document.getElementById("shown").textContent = [count, complaint].filter(Boolean).join("; ");
    pick.hidden = all || found.length === 0;
    show(0);
  };
  search.addEventListener("input", filter);
  pick.addEventListener("click", () => page.pick(found.map(setting)));
  for (const button of pages.querySelectorAll("button")) {
    button.addEventListener("click", () => show(first + PAGE * Number(button.dataset.turn)));
  }

  const choices = document.getElementById("columns");
  heads.forEach((head, column) => {
    if (column === 0) return;
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !head.hidden;
    box.addEventListener("change", () => {
      for (const row of [table.tHead.rows[0], ...rows]) row.cells[column].hidden = !box.checked;
    });
    label.append(box, head.textContent);
    choices.append(label);
  });

  const names = () => heads.map((head) => head.dataset.name);
  const cells = (row) => heads.map((_, column) => value(row, column));
  const files = {
    csv: () => [names(), ...found.map(cells)].map((line) => line.map(page.quoted).join(",")).join("\n") + "\n",
    json: () => {
      const typed = (text) => (text === "" ? null : Number.isFinite(Number(text)) ? Number(text) : text);
      const entry = (row) => Object.fromEntries(cells(row).map((text, column) => [names()[column], typed(text)]));
      return JSON.stringify(found.map(entry), null, 2) + "\n";
    },
  };
  const TYPES = { csv: "text/csv", json: "application/json" };
  for (const button of document.querySelectorAll("button[data-file]")) {
    button.addEventListener("click", () => {
      const kind = button.dataset.file;
      page.save(new Blob([files[kind]()], { type: TYPES[kind] }), `.${kind}`);
    });
  }

  for (const row of rows) {
    row.querySelector("button.pick").addEventListener("click", () => page.toggle(setting(row)));
  }
  const mark = () => {
    for (const row of rows) {
      const is = page.picked.has(setting(row));
      row.classList.toggle("picked", is);
      row.querySelector("button.pick").setAttribute("aria-pressed", String(is));
    }
  };
  page.listeners.push(mark);
  mark();
  filter();
  table.dataset.paged = "yes";
  document.getElementById("sorting").hidden = false;
})();
