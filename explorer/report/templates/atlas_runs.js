// The runs of all studies as columns: unpacked, with places along an axis from 0 to 1, and sliced.
const runs = {
  MOST_BYTES: 2 ** 28, // unpacked, of one study
  FEW: 12, // most different numbers of which each has a tick of its own and is a step for the keyboard
  LEAST_RATIO: 4, // of the ends of an axis that is logarithmic
  count: 0,
  columns: new Map(),
  studies: [],
  of: new Int32Array(0), // the study of each run
  unread: [], // names of studies whose runs could not be unpacked

  async unpack(text) {
    const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
    const parts = [];
    let size = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > runs.MOST_BYTES) throw new Error("too large");
      parts.push(value);
    }
    return JSON.parse(await new Blob(parts).text());
  },

  async load() {
    const told = await runs.unpack(document.getElementById("told").textContent);
    const packs = [...document.querySelectorAll("script[data-runs]")];
    const read = packs.map(async (pack, place) => {
      try {
        return [told.studies[place], await runs.unpack(pack.textContent)];
      } catch {
        runs.unread.push(told.studies[place].study);
        return null;
      }
    });
    const found = (await Promise.all(read)).filter(Boolean);
    runs.studies = found.map(([study]) => study);
    runs.count = found.reduce((sum, [, own]) => sum + own.runs, 0);
    runs.of = new Int32Array(runs.count);
    const texts = new Map();
    for (const { name, label, is_words, unit, is_log } of told.columns) {
      runs.columns.set(name, { name, label, unit, isWords: is_words, isLog: is_log });
      texts.set(name, is_words ? new Array(runs.count).fill(null) : new Float64Array(runs.count).fill(NaN));
    }
    let first = 0;
    found.forEach(([study, own], place) => {
      runs.of.fill(place, first, first + own.runs);
      const recipe = Object.entries(study.recipe).map(([key, is]) => [`recipe.${key}`, { is }]);
      const fixed = ["study", "data", "budget"].map((name) => [name, { is: study[name] }]);
      for (const [name, told_of] of [...Object.entries(own.columns), ...fixed, ...recipe]) {
        const to = texts.get(name);
        if (to) runs.fill(runs.columns.get(name), to, told_of, first, own.runs);
      }
      first += own.runs;
    });
    for (const [name, column] of [...runs.columns]) {
      if (!runs.finish(column, texts.get(name))) runs.columns.delete(name);
    }
  },

  fill(column, to, { is, words, at, numbers }, first, count) {
    const one = (place) => (numbers ? numbers[place] : at ? (words[at[place]] ?? null) : is);
    const share = column.unit === "%" ? 100 : 1;
    for (let place = 0; place < count; place += 1) {
      const value = one(place);
      if (column.isWords) to[first + place] = value === null || value === undefined ? null : String(value);
      else if (typeof value === "number") to[first + place] = value * share;
    }
  },

  // Number words in their order; false for a column that tells no two runs apart.
  finish(column, values) {
    if (!column.isWords) {
      column.values = values;
      const known = [...new Set(values)].filter(Number.isFinite).sort((one, other) => one - other);
      return known.length > 1;
    }
    const order = new Intl.Collator("en", { numeric: true });
    column.words = [...new Set(values)].filter((word) => word !== null).sort(order.compare);
    const places = new Map(column.words.map((word, place) => [word, place]));
    column.values = Int32Array.from(values, (word) => places.get(word) ?? -1);
    return column.words.length > 1;
  },

  isMissing: (column, run) => (column.isWords ? column.values[run] < 0 : Number.isNaN(column.values[run])),

  // Lay the axis of a column out for the runs that are there: `at` has the place of each run, NaN where it has no value.
  scale(column, there) {
    const present = [];
    for (let run = 0; run < runs.count; run += 1) if (there[run] && !runs.isMissing(column, run)) present.push(column.values[run]);
    const known = Array.from(new Set(present)).sort((one, other) => one - other);
    const axis = { column, known, at: new Float64Array(runs.count).fill(NaN) };
    const low = known[0] ?? 0;
    const high = known.at(-1) ?? 1;
    if (column.isWords) {
      const order = new Map(known.map((code, place) => [code, (place + 0.5) / known.length]));
      axis.place = (code) => order.get(code) ?? NaN;
    } else {
      axis.isLog = column.isLog && low > 0 && high / low > runs.LEAST_RATIO;
      const [to, back] = axis.isLog ? [Math.log, Math.exp] : [(value) => value, (value) => value];
      const room = 0.03;
      const span = to(high) - to(low);
      axis.place = (value) => (span ? room + ((1 - 2 * room) * (to(value) - to(low))) / span : 0.5);
      axis.value = (place) => (span ? back(to(low) + (span * (place - room)) / (1 - 2 * room)) : low);
      axis.low = low;
      axis.high = high;
    }
    for (let run = 0; run < runs.count; run += 1) if (there[run] && !runs.isMissing(column, run)) axis.at[run] = axis.place(column.values[run]);
    axis.hasNone = axis.at.some((place, run) => there[run] && Number.isNaN(place));
    // Where the keyboard stops along the axis: between its values if they are few, else every fiftieth.
    const few = column.isWords || known.length <= runs.FEW;
    const places = known.map(axis.place);
    const between = places.slice(1).map((place, at) => (place + places[at]) / 2);
    axis.stops = few ? [0, ...between, 1] : [0, ...Array.from({ length: 46 }, (_, step) => 0.05 + step / 50), 1];
    return axis;
  },

  ticks(axis) {
    const { column, known } = axis;
    if (column.isWords) return known.map((code) => [axis.place(code), column.words[code]]);
    if (known.length <= runs.FEW) return known.map((value) => [axis.place(value), runs.short(value)]);
    const found = [];
    if (axis.isLog) {
      for (const factors of [[1, 2, 5], [1, 3], [1]]) {
        found.length = 0;
        for (let power = Math.floor(Math.log10(axis.low)); power <= Math.log10(axis.high); power += 1) {
          for (const factor of factors) found.push(factor * 10 ** power);
        }
        const inside = found.filter((value) => value >= axis.low && value <= axis.high);
        found.splice(0, found.length, ...inside);
        if (found.length <= 7) break;
      }
    }
    if (found.length < 2) {
      const raw = (axis.high - axis.low) / 6;
      const power = 10 ** Math.floor(Math.log10(raw));
      const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= raw * (1 - 1e-9));
      found.length = 0;
      for (let value = Math.ceil(axis.low / step - 1e-9) * step; value <= axis.high + step * 1e-9; value += step) found.push(Number(value.toPrecision(12)));
    }
    return found.map((value) => [axis.place(value), runs.short(value)]);
  },

  // A round number in few letters, with a true minus sign.
  short(value) {
    for (const [limit, unit] of [[1e9, " G"], [1e6, " M"], [1e4, " k"]]) {
      if (Math.abs(value) >= limit) return `${Number((value / (unit === " k" ? 1000 : limit)).toPrecision(4))}${unit}`;
    }
    return `${Number(value.toPrecision(4))}`.replace("-", "\u2212");
  },

  words(column, run) {
    if (runs.isMissing(column, run)) return "none";
    if (column.isWords) return column.words[column.values[run]];
    return runs.number(column, column.values[run]);
  },

  number(column, value) {
    const whole = Number.isInteger(value) && Math.abs(value) < 1e15;
    const digits = column.unit === "%" ? value.toFixed(2) : whole ? value.toLocaleString("en") : `${Number(value.toPrecision(4))}`;
    return `${digits.replace("-", "\u2212")}${column.unit ? `\u00a0${column.unit}` : ""}`;
  },

  // Which of the runs that are there pass all slices. A slice is { low, high }, either of which may be null, or { words }.
  passing(slices, there) {
    const chosen = Uint8Array.from(there);
    for (const [name, slice] of slices) {
      const column = runs.columns.get(name);
      const codes = slice.words && new Set([...slice.words].map((word) => column.words.indexOf(word)));
      const [low, high] = [slice.low ?? -Infinity, slice.high ?? Infinity];
      for (let run = 0; run < runs.count; run += 1) {
        if (!chosen[run]) continue;
        const value = column.values[run];
        chosen[run] = codes ? codes.has(value) : value >= low && value <= high;
      }
    }
    return chosen;
  },

  // The runs that are left after keeping and excluding.
  after(steps) {
    let there = new Uint8Array(runs.count).fill(1);
    for (const { isKept, slices } of steps) {
      const chosen = runs.passing(slices, there);
      there = isKept ? chosen : there.map((is, run) => is && !chosen[run]);
    }
    return there;
  },

  total: (mask) => mask.reduce((sum, is) => sum + is, 0),

  // Slices as text for the address, and back: `params:1000~2000;study:=a,b`. What is not understood is left out.
  toText: (slices) =>
    [...slices]
      .map(([name, { low, high, words }]) => `${name}:${words ? `=${[...words].map(encodeURIComponent).join(",")}` : `${low ?? ""}~${high ?? ""}`}`)
      .join(";"),

  fromText(text) {
    const slices = new Map();
    for (const part of text.split(";")) {
      const found = /^([\w.]+):(?:=(.*)|([^~]*)~(.*))$/.exec(part);
      const column = found && runs.columns.get(found[1]);
      if (!column || column.isWords !== (found[2] !== undefined)) continue;
      if (column.isWords) {
        const words = found[2].split(",").map(runs.decoded).filter((word) => column.words.includes(word));
        if (words.length) slices.set(found[1], { words: new Set(words) });
      } else {
        const [low, high] = [found[3], found[4]].map((word) => (word === "" || !Number.isFinite(Number(word)) ? null : Number(word)));
        if (low !== null || high !== null) slices.set(found[1], { low, high });
      }
    }
    return slices;
  },

  decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  },
};
