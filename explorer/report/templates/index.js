// Finding a study among many: words that stand in it, and the order. Whatever is found among the studies is shown in the
// picture of their effects too.
(() => {
  const list = document.querySelector(".studies");
  if (!list) return;
  const [search, sort, shown] = ["search", "sort", "shown"].map((id) => document.getElementById(id));
  const PARTS = "h3, .question, .verdict, dd";
  const words = (item, parts) => [...item.querySelectorAll(parts)].map((part) => part.textContent).join("\n").toLowerCase();
  const studies = [...list.children].map((item) => ({ item, text: words(item, PARTS) }));
  const effects = [...document.querySelectorAll(".effect")].map((item) => ({ item, text: words(item, "a, b, small, strong") }));
  const groups = [...document.querySelectorAll(".effects")].map((own) => [own, own.closest("section")]);
  const by = (key) => (one, other) =>
    one.item.dataset[key].localeCompare(other.item.dataset[key], "en", { numeric: true });
  const orders = { newest: () => 0, name: by("name"), data: by("data") };

  const show = () => {
    const asked = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (text) => asked.every((word) => text.includes(word));
    const names = new Set();
    let count = 0;
    for (const { item, text } of studies) {
      item.hidden = !has(text);
      if (item.hidden) continue;
      count += 1;
      names.add(item.dataset.name);
    }
    for (const { item, text } of effects) item.hidden = !(item.dataset.of ? names.has(item.dataset.of) : has(text));
    for (const [own, group] of groups) group.hidden = [...own.children].every((item) => item.hidden);
    shown.textContent = asked.length ? `${count} of ${studies.length} shown` : "";
    // The file has the newest first, and sorting leaves equal ones as they were.
    list.append(...[...studies].sort(orders[sort.value]).map(({ item }) => item));
  };

  const read = () => {
    const given = address.read();
    search.value = given.get("search") ?? "";
    sort.value = Object.hasOwn(orders, given.get("sort")) ? given.get("sort") : "newest";
    show();
  };

  const write = () => {
    const told = [];
    if (search.value) told.push(["search", search.value]);
    if (sort.value !== "newest") told.push(["sort", sort.value]);
    address.write(["search", "sort"], told);
    show();
  };

  search.addEventListener("input", write);
  sort.addEventListener("change", write);
  addEventListener("hashchange", read);
  document.getElementById("find").hidden = false;
  read();
})();
