// Values and arrays to marks on paper, mirrored line by line in avfkit_widgets/_scene.py, which
// draws the picture for readers without JavaScript. A test compares the two.

const LAYOUT = { left: 44, right: 12, top: 24, split: 268, below: 306, bottom: 416, height: 460 };

// Where time, values and nats lie on a picture of this width.
function scales(setup, values, arrays, width) {
  const { left, right, top, split, below, bottom } = LAYOUT;
  const step = (width - left - right) / setup.steps;
  const largest = arrays.observation.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const reach = clamp(1.05 * largest, 3.2, 6);
  const most = roundUp(0.9 * values.snr ** 0.8);
  return {
    step,
    reach,
    most,
    x: (t) => left + (t + 0.5) * step,
    y: (value) => top + ((reach - clamp(value, -reach, reach)) / (2 * reach)) * (split - top),
    nats: (value) =>
      below + ((most - clamp(value, -0.5 * most, most)) / (1.5 * most)) * (bottom - below),
  };
}

function line(s, values) {
  return Array.from(values, (v, t) => `${t ? "L" : "M"}${fixed(s.x(t))} ${fixed(s.y(v))}`).join("");
}

// The region between mean - 1.96 sd and mean + 1.96 sd.
function band(s, mean, variance) {
  const point = (t, value) => `${fixed(s.x(t))} ${fixed(s.y(value))}`;
  const edge = (sign) =>
    Array.from(mean, (m, t) => point(t, m + sign * 1.96 * Math.sqrt(variance[t])));
  return `M${[...edge(1), ...edge(-1).reverse()].join("L")}Z`;
}

// The observations that are shown (or those that are hidden); those off the paper become arrows.
function dots(s, arrays, shown) {
  const { top, split } = LAYOUT;
  const marks = Array.from(arrays.observation, (value, t) => {
    if (arrays.observed[t] > 0.5 !== shown) return "";
    if (value > s.reach) return arrow(s.x(t), top + 5, -1);
    if (value < -s.reach) return arrow(s.x(t), split - 5, 1);
    return disc(s.x(t), s.y(value), s.step < 7 ? 1.8 : 2.6);
  });
  return marks.join("");
}

function bars(s, gap) {
  const zero = s.nats(0);
  const half = 0.36 * s.step;
  return Array.from(gap, (value, t) => {
    const [from, to] = [s.x(t) - half, s.x(t) + half].map(fixed);
    return `M${from} ${fixed(zero)}V${fixed(s.nats(value))}H${to}V${fixed(zero)}Z`;
  }).join("");
}

// Notches beyond the bars that do not fit the paper.
function notches(s, gap) {
  const { below, bottom } = LAYOUT;
  const marks = Array.from(gap, (value, t) => {
    if (value > s.most) return arrow(s.x(t), below - 3, -1);
    return value < -0.5 * s.most ? arrow(s.x(t), bottom + 3, 1) : "";
  });
  return marks.join("");
}

function ruler(s, setup) {
  const { left, top, below, bottom } = LAYOUT;
  const texts = [];
  const lines = [];
  const end = fixed(left + s.step * setup.steps);
  const across = (y) => lines.push(`M${fixed(left)} ${fixed(y)}H${end}`);
  for (let value = -6; value <= 6; value += 2) {
    if (Math.abs(value) > s.reach) continue;
    across(s.y(value));
    texts.push([left - 8, s.y(value) + 4, "end", signed(value)]);
  }
  for (const value of [-0.5, 0, 0.5, 1].map((part) => part * s.most)) {
    across(s.nats(value));
    texts.push([left - 8, s.nats(value) + 4, "end", signed(value)]);
  }
  for (const t of [1, 10, 20, 30, 40, 50, 60]) {
    texts.push([s.x(t - 1), bottom + 20, "middle", String(t)]);
  }
  texts.push([left, top - 10, "start", "latent: mean and 95 % band of each filter"]);
  texts.push([left, below - 14, "start", "gap at each step, nats"]);
  texts.push([left + (s.step * setup.steps) / 2, bottom + 38, "middle", "time step"]);
  return { lines: lines.join(""), texts };
}

// All marks: paths by class name in painting order, and texts [x, y, anchor, words].
function scene(setup, values, arrays, width) {
  const s = scales(setup, values, arrays, width);
  const first = clamp(values.mask_start - 1, 0, setup.steps);
  const last = clamp(first + values.mask_length, 0, setup.steps);
  const { left, top, split, below, bottom } = LAYOUT;
  const column = (from, to) =>
    `M${fixed(left + first * s.step)} ${fixed(from)}H${fixed(left + last * s.step)}V${fixed(to)}` +
    `H${fixed(left + first * s.step)}Z`;
  const frame = ruler(s, setup);
  const hidden = last > first ? column(top, split) + column(below, bottom) : "";
  if (last - first >= 6) {
    frame.texts.push([left + ((first + last) / 2) * s.step, top + 16, "middle", "hidden"]);
  }
  const paths = {
    hidden,
    grid: frame.lines,
    "exact-band": band(s, arrays.exact_mean, arrays.exact_var),
    "approximate-band": band(s, arrays.approximate_mean, arrays.approximate_var),
    latent: values.show_latent ? line(s, setup.latent) : "",
    exact: line(s, arrays.exact_mean),
    approximate: line(s, arrays.approximate_mean),
    unseen: dots(s, arrays, false),
    seen: dots(s, arrays, true),
    gap: bars(s, arrays.gap),
    notch: notches(s, arrays.gap),
  };
  const texts = frame.texts.map(([x, y, ...rest]) => [fixed(x), fixed(y), ...rest]);
  return { paths, texts, height: LAYOUT.height };
}
