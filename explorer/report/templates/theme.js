// Light and dark, on every page: as the system has it until the reader chooses. The choice is kept for the other pages
// where the browser lets a file from disk keep anything.
(() => {
  "use strict";
  const kept = "resnext-explorer-theme";
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const tell = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    document.dispatchEvent(new Event("theme"));
  };
  try {
    const chosen = localStorage.getItem(kept);
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch {
    // Nothing may be kept here: the system's choice stands.
  }
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem(kept, root.dataset.theme);
    } catch {
      // The choice holds for this page alone.
    }
    tell();
  });
  system.addEventListener("change", tell);
  tell();
  document.getElementById("tools").hidden = false;
})();
