"use strict";
// The address holds what is looked at, so that a link shows the same and whoever comes back finds it. Each part of the
// page reads and writes keys of its own.
const address = {
  read() {
    return new URLSearchParams(location.hash.slice(1));
  },

  // Replace the values of these keys; as a step it is one that the back button takes back.
  write(keys, pairs, isStep = false) {
    const told = address.read();
    for (const key of keys) told.delete(key);
    for (const [key, value] of pairs) told.append(key, value);
    const words = `${told}`.replace(/%(3A|2C|3B|7E)/g, decodeURIComponent);
    if (words === location.hash.slice(1)) return;
    const where = words ? `#${words}` : location.pathname + location.search;
    if (isStep) history.pushState(null, "", where);
    else history.replaceState(null, "", where);
  },
};
