// The scan explorer's schedules, marks and words, mirrored in avfkit_widgets/_schedules.py and
// _scan_table.py.

const SCAN = { top: 26, gap: 24, side: 270, names: ["one by one", "by a tree"] };

// The combinations of each level of the tree: position j takes what i and j hold.
function treeLevels(length) {
  const found = [];
  const level = (gap, start) => {
    const pairs = [];
    for (let j = start; j < length; j += 2 * gap) pairs.push([j - gap, j]);
    if (pairs.length) found.push(pairs);
  };
  let gap = 1;
  for (; 2 * gap <= length; gap *= 2) level(gap, 2 * gap - 1);
  for (gap /= 2; gap >= 1; gap /= 2) level(gap, 3 * gap - 1);
  return found;
}

// Rounds, and the level that each belongs to, for one by one and for the tree.
function schedulesOf({ length, workers }) {
  const steps = Array.from({ length: length - 1 }, (_, t) => t);
  const tree = treeLevels(length).flatMap((pairs, level) => {
    const count = Math.ceil(pairs.length / workers);
    return Array.from({ length: count }, (_, part) => ({
      pairs: pairs.slice(part * workers, (part + 1) * workers),
      level: level + 1,
    }));
  });
  return [steps.map((t) => ({ pairs: [[t, t + 1]], level: t + 1 })), tree];
}

// The first step, from 0, that each position has gathered after some rounds.
function startsOf(schedule, count, length) {
  const first = Array.from({ length }, (_, t) => t);
  for (const { pairs } of schedule.slice(0, count)) {
    const found = pairs.map(([i, j]) => [j, first[i]]);
    for (const [j, start] of found) first[j] = start;
  }
  return first;
}

function timeOf(schedule, count, latency) {
  const done = Math.min(count, schedule.length);
  return done + latency * (done ? schedule[done - 1].level : 0);
}

// The mean that each position holds, by the first step that it has gathered.
function heldOf(first, { held, prefix }) {
  const size = prefix.length;
  const mean = (start, t) =>
    start === 0 ? prefix[t] : held[Math.floor(Math.log2(t - start + 1)) * size + t];
  return first.map(mean);
}

// A row for each position: the steps that it has gathered.
function squarePanel(values, way, left, side) {
  const { top, names } = SCAN;
  const { length, round } = values;
  const schedule = schedulesOf(values)[way];
  const first = startsOf(schedule, round, length);
  const cell = side / length;
  const now = round > 0 && round <= schedule.length ? schedule[round - 1].pairs : [];
  const rows = first.map((a, t) =>
    box(left + a * cell, left + (t + 1) * cell, top + t * cell, top + (t + 1) * cell),
  );
  const paths = {
    "scan-grid": box(left, left + side, top, top + side),
    "scan-open": rows.filter((_, t) => first[t] > 0).join(""),
    "scan-done": rows.filter((_, t) => first[t] === 0).join(""),
    "scan-fresh": now.map(([, j]) => rows[j]).join(""),
  };
  const texts = [
    [left, top - 10, "start", names[way]],
    [left + 0.5 * cell, top + side + 16, "middle", "1"],
    [left + side - 0.5 * cell, top + side + 16, "middle", String(length)],
  ];
  if (way === 0) {
    texts.push([left - 8, top + 10, "end", "1"], [left - 8, top + side, "end", String(length)]);
  }
  return { paths, texts };
}

// A dot for each worker of the tree; those that combined in this round are filled.
function workersPanel(values, width, top) {
  const tree = schedulesOf(values)[1];
  const { round, workers: count } = values;
  const busy = round > 0 && round <= tree.length ? tree[round - 1].pairs.length : 0;
  const step = Math.min(16, (width - MARGIN.left - MARGIN.right) / count);
  const dots = Array.from({ length: count }, (_, i) =>
    disc(MARGIN.left + (i + 0.5) * step, top + 12, 0.38 * step),
  );
  const paths = {
    "scan-busy": dots.slice(0, busy).join(""),
    "scan-idle": dots.slice(busy).join(""),
  };
  const words = `the tree's workers: ${busy} of ${count} busy`;
  return { paths, texts: [[MARGIN.left, top, "start", words]] };
}

// The means that the tree holds, beside the filter's.
function curvePanel(setup, values, arrays, width, top) {
  const { left, right } = MARGIN;
  const { length, round } = values;
  const bottom = top + 110;
  const axis = setup.mean_axis;
  const step = (width - left - right) / length;
  const xs = Array.from({ length }, (_, t) => left + (t + 0.5) * step);
  const { lines, texts } = ruler(axis, width, top, bottom);
  const first = startsOf(schedulesOf(values)[1], round, length);
  const height = (value) => ordinate(axis, value, top, bottom);
  const held = heldOf(first, arrays).map(height);
  const dots = (test) => xs.map((x, t) => (test(first[t]) ? disc(x, held[t], 2.6) : "")).join("");
  const paths = {
    "scan-grid": lines,
    "scan-filter": polyline(xs, Array.from(arrays.filter.subarray(0, length), height)),
    "scan-open": dots((start) => start > 0),
    "scan-done": dots((start) => start === 0),
  };
  for (const [t, words] of setup.step_ticks[length]) texts.push([xs[t], bottom + 18, "middle", words]);
  texts.push([left, top - 10, "start", "mean of the latent that the tree holds"]);
  texts.push([(left + width - right) / 2, bottom + 36, "middle", "position"]);
  return { paths, texts };
}

// A bar for each way, filled as far as it has come; darker where something was combined.
function timesPanel(values, width, top) {
  const { left, right } = MARGIN;
  const both = schedulesOf(values);
  const whole = both.map((schedule) => timeOf(schedule, schedule.length, values.latency));
  const unit = (width - left - right) / Math.max(...whole);
  const paths = { "scan-bar": "", "scan-spent": "", "scan-work": "" };
  const texts = both.map((schedule, way) => {
    const y = top + 34 * way;
    const done = Math.min(values.round, schedule.length);
    const ends = Array.from({ length: done + 1 }, (_, k) => timeOf(schedule, k, values.latency));
    const bar = (from, to) => box(left + from * unit, left + to * unit, y + 6, y + 16);
    paths["scan-bar"] += bar(0, whole[way]);
    paths["scan-spent"] += bar(0, ends[done]);
    paths["scan-work"] += ends.slice(1).map((end) => bar(end - 1, end)).join("");
    const words = `${SCAN.names[way]}: ${ends[done]} of ${whole[way]} combinations' time`;
    return [left, y, "start", words];
  });
  return { paths, texts };
}

function comparedTimes(one, tree) {
  if (one === tree) return "the same for both";
  const [faster, factor] = tree < one ? ["the tree", one / tree] : ["one by one", tree / one];
  return `${faster} being ${fixed(factor)} times as fast`;
}

const PAINTER = {
  element: "avf-scan-explorer",
  fragment: "scan",

  // Both ways are done after the longer one's last round.
  ends(setup, values) {
    return { round: Math.max(...schedulesOf(values).map((schedule) => schedule.length)) };
  },

  scene(setup, values, arrays, width) {
    const { top, gap, side: largest } = SCAN;
    const side = Math.min(largest, (width - MARGIN.left - MARGIN.right - gap) / 2);
    const below = top + side;
    const parts = [
      squarePanel(values, 0, MARGIN.left, side),
      squarePanel(values, 1, MARGIN.left + side + gap, side),
      workersPanel(values, width, below + 46),
      curvePanel(setup, values, arrays, width, below + 96),
      timesPanel(values, width, below + 274),
    ];
    const paths = { "scan-grid": "", "scan-filter": "" }; // these lie below the rest
    for (const part of parts) {
      for (const [name, d] of Object.entries(part.paths)) paths[name] = (paths[name] ?? "") + d;
    }
    const texts = parts.flatMap((part) => part.texts);
    return finished({ paths, texts, height: below + 274 + 58 });
  },

  sentence(setup, values, arrays) {
    const { length, workers, latency } = values;
    const both = schedulesOf(values);
    const starts = both.map((schedule) => startsOf(schedule, values.round, length));
    const done = starts.map((first) => first.filter((start) => start === 0).length);
    const rounds = both.map((schedule) => schedule.length);
    const times = both.map((schedule) => timeOf(schedule, schedule.length, latency));
    const gaps = heldOf(starts[1], arrays).map((mean, t) => Math.abs(mean - arrays.filter[t]));
    const k = Math.min(values.round, Math.max(...rounds));
    const hands = `${workers} worker${workers === 1 ? "" : "s"}`;
    return (
      `After ${k} round${k === 1 ? "" : "s"} one by one has finished ${done[0]} of ${length} ` +
      `prefixes and the tree, with ${hands}, ${done[1]}; its means are off by up to ` +
      `${formatNats(Math.max(...gaps))}. To the end the one needs ${rounds[0]} rounds and the other ` +
      `${rounds[1]}; with a pause of ${latency} before each level that is ${times[0]} and ` +
      `${times[1]} combinations' time, ${comparedTimes(...times)}.`
    );
  },

  table(setup, values, arrays) {
    const both = schedulesOf(values);
    const [one, tree] = both.map((schedule) => startsOf(schedule, values.round, values.length));
    const held = heldOf(tree, arrays);
    const span = (start, t) =>
      `${start === t ? t + 1 : `${start + 1}\u2013${t + 1}`}${start === 0 ? " (finished)" : ""}`;
    return {
      head: ["position", "one by one holds steps", "the tree holds", "its mean", "filter's mean"],
      rows: held.map((mean, t) => [
        t + 1,
        span(one[t], t),
        span(tree[t], t),
        mean.toFixed(3),
        arrays.filter[t].toFixed(3),
      ]),
    };
  },
};
