// The film explorer's marks and words, mirrored in avfkit_widgets/_film_table.py.

const GAP = 16;
const MARKS = ["data", "prediction", "reconstruction"];

function frameOf(setup, arrays, name, t) {
  const [height, across] = setup.shape;
  return arrays[name].subarray(t * height * across, (t + 1) * height * across);
}

// How far a picture is from the data, on average over its pixels.
function errorOf(setup, arrays, name, t) {
  const seen = frameOf(setup, arrays, "data", t);
  const found = frameOf(setup, arrays, name, t);
  return found.reduce((sum, value, i) => sum + Math.abs(value - seen[i]), 0) / seen.length;
}

function bitsPerPixel(setup, energy) {
  return energy / (setup.shape[0] * setup.shape[1] * Math.log(2));
}

const PAINTER = {
  element: "avf-film-explorer",
  fragment: "film",

  scene(setup, values, arrays, width) {
    const t = values.step - 1;
    const [height, across] = setup.shape;
    const side = Math.min(200, Math.floor((width - 2 * GAP) / 3));
    const tall = (side * height) / across;
    const start = (width - 3 * side - 2 * GAP) / 2;
    const [texts, images, frames] = [[], [], []];
    MARKS.forEach((mark, i) => {
      const left = start + i * (side + GAP);
      images.push([left, 26, side, tall, grey(frameOf(setup, arrays, mark, t), height, across)]);
      frames.push(box(left, left + side, 26, 26 + tall));
      texts.push([left + side / 2, 16, "middle", mark]);
    });
    const below = strip(setup, { energy: arrays.energy }, t, width, tall + 68);
    return finished({
      paths: { frame: frames.join(""), ...below.paths },
      texts: [...texts, ...below.texts],
      images,
      height: below.height,
    });
  },

  sentence(setup, values, arrays) {
    const { step, iterations: k } = values;
    const energy = arrays.energy[step - 1];
    const opening = setup.iterates ? `After ${k} iteration${k === 1 ? "" : "s"}, frame` : "Frame";
    const [before, after] = MARKS.slice(1).map((name) => errorOf(setup, arrays, name, step - 1));
    return (
      `${opening} ${step} of ${arrays.energy.length} costs ${formatNats(energy)} nats, ` +
      `${bitsPerPixel(setup, energy).toFixed(2)} bits per pixel; a pixel is off by ` +
      `${before.toFixed(3)} on average in the prediction and by ${after.toFixed(3)} in the ` +
      "reconstruction."
    );
  },

  table(setup, values, arrays) {
    return {
      head: ["frame", "free energy, nats", "bits per pixel", "error of prediction",
        "error of reconstruction"],
      rows: Array.from(arrays.energy, (energy, t) => [
        t + 1,
        formatNats(energy),
        bitsPerPixel(setup, energy).toFixed(2),
        ...MARKS.slice(1).map((name) => errorOf(setup, arrays, name, t).toFixed(3)),
      ]),
    };
  },
};
