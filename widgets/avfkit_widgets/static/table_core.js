// Precomputed numbers: unpacked once, then looked up by the values of the sliders. The page's
// arrays are the kernel's, rounded to 256 or 65 536 levels (avfkit_widgets/_packing.py).

async function inflate(text) {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("This browser cannot unpack the table (it has no DecompressionStream).");
  }
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// Codes to values, for a part of an array or all of it.
function decode({ codes, low, step }, from, to) {
  return Float64Array.from(codes.subarray(from, to), (code) => low + code * step);
}

async function unpack({ arrays, blob }) {
  const buffer = await inflate(blob);
  let start = 0;
  const unpacked = {};
  for (const { name, shape, bits, low, step } of arrays) {
    const size = shape.reduce((product, length) => product * length, 1);
    const end = start + (size * bits) / 8;
    const Codes = bits === 8 ? Uint8Array : Uint16Array;
    unpacked[name] = { codes: new Codes(buffer.slice(start, end)), low, step };
    start = end;
  }
  return unpacked;
}

// Fills setup.constants and, where there is one, setup.grid: the arrays over all grid points.
async function prepareTable(setup) {
  const entries = Object.entries(await unpack(setup.packed));
  const tabulated = ([name]) => setup.tabulated.includes(name);
  const whole = ([name, array]) => [name, decode(array)];
  setup.constants = Object.fromEntries(entries.filter((entry) => !tabulated(entry)).map(whole));
  setup.grid = Object.fromEntries(entries.filter(tabulated));
}

// Which grid point the values name, and how many there are: the last slider moves fastest.
function gridPoint(setup, values) {
  const axes = setup.sliders.filter((slider) => slider.tabulated);
  let place = 0;
  let count = 1;
  for (const { name, choices } of axes) {
    place = place * choices.length + choices.indexOf(values[name]);
    count *= choices.length;
  }
  return { place, count };
}

function lookUp(setup, values) {
  const { place, count } = gridPoint(setup, values);
  const found = Object.entries(setup.grid).map(([name, array]) => {
    const size = array.codes.length / count;
    return [name, decode(array, place * size, (place + 1) * size)];
  });
  return { ...setup.constants, ...Object.fromEntries(found) };
}
