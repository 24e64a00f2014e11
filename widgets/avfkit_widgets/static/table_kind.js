// A tabulated explorer, as a kind of explorer. The PAINTER that the script before this one defines
// knows what its arrays mean: {scene, sentence, table}.

function tableControls(setup) {
  return Object.fromEntries(
    setup.sliders.map(({ name, choices, spoken }) => {
      const place = (value) => Math.max(0, choices.indexOf(value));
      const control = {
        min: 0,
        max: choices.length - 1,
        step: 1,
        read: (position) => choices[Number(position)],
        write: place,
        shown: String,
        spoken: (value) => spoken[place(value)],
      };
      return [name, control];
    }),
  );
}

// Values that an address names; what is not among a slider's choices does not count.
function readTableQuery(setup, query) {
  const values = {};
  for (const { name, choices } of setup.sliders) {
    const choice = choices.find((candidate) => String(candidate) === query.get(name));
    if (choice !== undefined) values[name] = choice;
  }
  return values;
}

// Which numbers these are: a point of the table, or fresh ones.
function gridNote(setup, values) {
  const axes = setup.sliders.filter((slider) => slider.tabulated);
  if (setup.tabulated.length === 0) return "Computed by the kernel.";
  if (axes.length === 0) return "Computed when the page was built.";
  const place = axes.map(({ name, choices, spoken }) => spoken[choices.indexOf(values[name])]);
  const count = axes.map((slider) => slider.choices.length).join(" \u00d7 ");
  return `Shown: ${place.join(", ")}; one of ${count} points computed when the page was built.`;
}

const KIND = {
  element: PAINTER.element,
  fragment: PAINTER.fragment,
  prepare: prepareTable,
  controls: tableControls,
  ends: PAINTER.ends,
  read: readTableQuery,
  write: (values) => String(new URLSearchParams(values)),
  compute: lookUp,
  scene: PAINTER.scene,
  sentence: PAINTER.sentence,
  table: PAINTER.table,
  note: gridNote,
  player: (view) => view.setup.plays && new Player(view, view.setup.plays),
};
