// Marks of the tabulated explorers, mirrored function by function in avfkit_widgets/_plot.py,
// which draws the picture for readers without JavaScript. Axes come from there.

const MARGIN = { left: 52, right: 12 };

// Where a value lies between `top` (the axis's high end) and `bottom`.
function ordinate({ low, high }, value, top, bottom) {
  return top + ((high - clamp(value, low, high)) / (high - low)) * (bottom - top);
}

function polyline(xs, ys) {
  return `M${xs.map((x, i) => `${fixed(x)} ${fixed(ys[i])}`).join("L")}`;
}

function box(left, right, top, bottom) {
  return `M${fixed(left)} ${fixed(top)}H${fixed(right)}V${fixed(bottom)}H${fixed(left)}Z`;
}

// Lines across a panel, and the names of its ticks.
function ruler(axis, width, top, bottom) {
  const heights = axis.ticks.map(([value]) => ordinate(axis, value, top, bottom));
  const end = fixed(width - MARGIN.right);
  return {
    lines: heights.map((y) => `M${MARGIN.left} ${fixed(y)}H${end}`).join(""),
    texts: heights.map((y, i) => [MARGIN.left - 8, y + 4, "end", axis.ticks[i][1]]),
  };
}

// A panel of step free energies, 90 pixels high: one line for each class name of `energies`.
function strip(setup, energies, cursor, width, top) {
  const { left, right } = MARGIN;
  const { energy_axis: axis, step_ticks: ticks } = setup;
  const bottom = top + 90;
  const count = Object.values(energies)[0].length;
  const step = (width - left - right) / count;
  const xs = Array.from({ length: count }, (_, t) => left + (t + 0.5) * step);
  const paths = {};
  if (cursor !== null) {
    const from = left + cursor * step;
    paths.cursor = box(from, from + step, top, bottom);
  }
  const { lines, texts } = ruler(axis, width, top, bottom);
  paths["energy-grid"] = lines;
  for (const [mark, values] of Object.entries(energies)) {
    const ys = Array.from(values, (value) => ordinate(axis, value, top, bottom));
    paths[mark] = polyline(xs, ys);
    paths[`${mark}-dots`] = xs.map((x, t) => disc(x, ys[t], 2)).join("");
  }
  for (const [t, words] of ticks) texts.push([xs[t], bottom + 18, "middle", words]);
  texts.push([left, top - 10, "start", setup.energy_title]);
  texts.push([(left + width - right) / 2, bottom + 36, "middle", setup.step_title]);
  return { paths, texts, height: bottom + 44 };
}

// Coordinates as the text that Python writes.
function finished({ paths, texts, images = [], height }) {
  return {
    paths,
    texts: texts.map(([x, y, ...rest]) => [fixed(x), fixed(y), ...rest]),
    images: images.map((image) => [...image.slice(0, 4).map(fixed), image[4]]),
    height: fixed(height),
  };
}

// A picture of values from 0, black, to 1, white, as the address of an 8-bit bitmap.
function grey(values, height, width) {
  const across = width + ((4 - (width % 4)) % 4);
  const start = 54 + 1024;
  const bytes = new Uint8Array(start + across * height);
  const view = new DataView(bytes.buffer);
  bytes.set([66, 77]);
  const words = [bytes.length, 0, start, 40, width, height];
  words.forEach((word, i) => view.setUint32(2 + 4 * i, word, true));
  view.setUint16(26, 1, true);
  view.setUint16(28, 8, true);
  [0, across * height, 2835, 2835, 256, 0].forEach((word, i) => view.setUint32(30 + 4 * i, word, true));
  for (let level = 0; level < 256; level += 1) bytes.fill(level, 54 + 4 * level, 57 + 4 * level);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const level = Math.floor(255 * clamp(values[y * width + x], 0, 1) + 0.5);
      bytes[start + (height - 1 - y) * across + x] = level;
    }
  }
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte));
  return `data:image/bmp;base64,${btoa(letters.join(""))}`;
}
