// What the page knows of its clips, what a person has chosen, and the groups that have colours.
"use strict";

const MOST_GROUPS = 18;
const COLOURS = [
  "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#8a5fd3", "#a3a500",
  "#e5484d", "#17a398", "#f28cb1", "#5b6cf0", "#b07d4f", "#6dbf4b", "#c23b8f", "#3d8b9e", "#d9b310",
];
const SHAPES = [["circle", "●"], ["triangle", "▲"], ["square", "■"], ["diamond", "◆"]];
const GREY = "#8a8f96";

const at = (id) => document.getElementById(id);
const data = JSON.parse(at("data").textContent);
const count = data.names.length;
const vectors = vectorsOf(data.vectors, data.dim);
const texts = data.texts && {
  words: data.texts.words,
  clips: vectorsOf(data.texts.clips, data.texts.dim),
  latents: vectorsOf(data.texts.latents, data.texts.dim),
};
const places = new Uint16Array(bytesOf(data.positions).buffer);
const x = Float64Array.from({ length: count }, (_, row) => places[2 * row]);
const y = Float64Array.from({ length: count }, (_, row) => places[2 * row + 1]);

/** What a person does: the chosen clip, the terms of the search, and what is shown of the clips. */
const state = { chosen: null, terms: [], text: -1, find: "", only: null, page: 0 };
let groups = groupsBy(data.labels.length ? "label" : "folder");
let shown = new Uint8Array(count).fill(1);

function labelOf(row) {
  return data.label[row] < 0 ? "" : data.labels[data.label[row]];
}

function folderOf(row) {
  return data.folders[data.folder[row]];
}

function nameOf(row) {
  const start = data.starts[row];
  return start === null ? data.names[row] : `${data.names[row]} from ${start} s`;
}

function aboutOf(row) {
  const folder = folderOf(row);
  const parts = [labelOf(row), `${data.durations[row].toFixed(1)} s`, folder && `in ${folder}`];
  return parts.filter(Boolean).join(", ");
}

/** Groups by label or by folder: the largest ones with colours and shapes, one for all others. */
function groupsBy(kind) {
  const [names, of] = kind === "label" ? [data.labels, data.label] : [data.folders, data.folder];
  const sizes = new Array(names.length).fill(0);
  for (const number of of) if (number >= 0) sizes[number]++;
  const order = [...names.keys()].sort((a, b) => sizes[b] - sizes[a] || a - b).slice(0, MOST_GROUPS);
  const list = order.map((number, place) => ({
    name: names[number] || "(top folder)", size: sizes[number],
    colour: COLOURS[place], shape: SHAPES[place % SHAPES.length],
  }));
  const placeOf = new Array(names.length).fill(list.length);
  order.forEach((number, place) => { placeOf[number] = place; });
  const rest = count - list.reduce((sum, group) => sum + group.size, 0);
  const more = names.length > order.length;
  list.push({
    name: more ? `others` : `no ${kind}`, size: rest, colour: GREY, shape: SHAPES[0],
  });
  return { kind, list, of: Uint8Array.from(of, (number) => number < 0 ? list.length - 1 : placeOf[number]) };
}
