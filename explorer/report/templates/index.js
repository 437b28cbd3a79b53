// Finding a study among many: words that stand in it, and the order. The address holds both, so that whoever comes back
// from a study's page finds the list as it was.
(() => {
  "use strict";
  const list = document.querySelector(".studies");
  if (!list) return;
  const [search, sort, shown] = ["search", "sort", "shown"].map((id) => document.getElementById(id));
  const PARTS = "h2, .question, .verdict, dd";
  const studies = [...list.children].map((item) => ({
    item,
    text: [...item.querySelectorAll(PARTS)].map((part) => part.textContent).join("\n").toLowerCase(),
  }));
  const by = (key) => (one, other) =>
    one.item.dataset[key].localeCompare(other.item.dataset[key], "en", { numeric: true });
  const orders = { newest: () => 0, name: by("name"), data: by("data") };

  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { item, text } of studies) {
      item.hidden = !words.every((word) => text.includes(word));
      if (!item.hidden) count += 1;
    }
    shown.textContent = words.length ? `${count} of ${studies.length} shown` : "";
    // The file has the newest first, and sorting leaves equal ones as they were.
    list.append(...[...studies].sort(orders[sort.value]).map(({ item }) => item));
  };

  const read = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    search.value = given.get("search") ?? "";
    sort.value = Object.hasOwn(orders, given.get("sort")) ? given.get("sort") : "newest";
    show();
  };

  const write = () => {
    const told = new URLSearchParams();
    if (search.value) told.set("search", search.value);
    if (sort.value !== "newest") told.set("sort", sort.value);
    history.replaceState(null, "", `${told}` ? `#${told}` : location.pathname + location.search);
    show();
  };

  search.addEventListener("input", write);
  sort.addEventListener("change", write);
  addEventListener("hashchange", read);
  document.getElementById("find").hidden = false;
  read();
})();
