// The page: a map and lists of clips that show one choice, one search and one filter.
"use strict";

const MOST_GROUPS = 18;
const MOST_FOUND = 12;
const PER_LIST = 50;
const REACH = 16; // pixels around a point within which it is met
const COLOURS = [
  "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#8a5fd3", "#a3a500",
  "#e5484d", "#17a398", "#f28cb1", "#5b6cf0", "#b07d4f", "#6dbf4b", "#c23b8f", "#3d8b9e", "#d9b310",
];
const SHAPES = [["circle", "●"], ["triangle", "▲"], ["square", "■"], ["diamond", "◆"]];
const GREY = "#8a8f96";
const UNPLAYABLE = "its file is gone, or of a kind that this browser can't decode";
const WAYS = {
  ArrowLeft: { x: -1, y: 0 }, ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: 1 }, ArrowDown: { x: 0, y: -1 },
};

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

// ---------------------------------------------------------------- what clips are

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

// ---------------------------------------------------------------- the map

const map = at("map");
const ranges = { x: new Bokeh.Range1d({ start: 0, end: 65535 }), y: new Bokeh.Range1d({ start: 0, end: 65535 }) };
const points = new Bokeh.ColumnDataSource({ data: { x, y, ...looks() } });
const marks = new Bokeh.ColumnDataSource({ data: { x: [], y: [], size: [], line: [], width: [] } });
const plot = drawMap();

function looks() {
  const fill = [], shape = [], alpha = new Float32Array(count);
  for (let row = 0; row < count; row++) {
    const group = groups.list[groups.of[row]];
    fill.push(shown[row] ? group.colour : GREY);
    shape.push(group.shape[0]);
    alpha[row] = shown[row] ? 0.85 : 0.12;
  }
  return { fill, shape, alpha };
}

function drawMap() {
  const figure = Bokeh.Plotting.figure({
    x_range: ranges.x, y_range: ranges.y, x_axis_type: null, y_axis_type: null,
    tools: "pan,wheel_zoom", active_drag: "pan", active_scroll: "wheel_zoom", toolbar_location: null,
    ...backend(), sizing_mode: "stretch_both", min_border: 0, outline_line_color: null,
    ...papers(),
  });
  const size = (count <= 500 ? 10 : count <= 3000 ? 7 : 5) - (map.clientWidth < 500 ? 2 : 0);
  figure.scatter({ field: "x" }, { field: "y" }, {
    source: points, marker: { field: "shape" }, size, line_color: null,
    fill_color: { field: "fill" }, fill_alpha: { field: "alpha" },
  });
  figure.scatter({ field: "x" }, { field: "y" }, {
    source: marks, size: { field: "size" }, fill_color: null,
    line_color: { field: "line" }, line_width: { field: "width" },
  });
  figure.on_event("tap", ({ x: tapX, y: tapY }) => {
    map.focus({ preventScroll: true });
    const row = nearest(x, y, { x: tapX, y: tapY }, isShown, REACH * perPixel());
    if (row !== null) choose(row);
  });
  return figure;
}

/** WebGL on a graphics card; else a plain canvas, which shows a quarter of many points in motion. */
function backend() {
  const gl = document.createElement("canvas").getContext("webgl");
  const about = gl && gl.getExtension("WEBGL_debug_renderer_info");
  const card = about ? gl.getParameter(about.UNMASKED_RENDERER_WEBGL) : "";
  const isCard = gl !== null && !/swiftshader|llvmpipe|software|basic render/i.test(card);
  return isCard
    ? { output_backend: "webgl", lod_threshold: null }
    : { output_backend: "canvas", lod_threshold: 2000, lod_factor: 4, lod_timeout: 200 };
}

/** Colours of the page; without them BokehJS leaves traces of points at the edge. */
function papers() {
  const paper = colourOf("--paper");
  return { background_fill_color: paper, border_fill_color: paper };
}

function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function isShown(row) {
  return shown[row] === 1;
}

/** Units of the map per pixel, the same both ways. */
function perPixel() {
  return (ranges.y.end - ranges.y.start) / map.clientHeight;
}

function setView(middleX, middleY, units) {
  const halfX = map.clientWidth * units / 2, halfY = map.clientHeight * units / 2;
  ranges.x.setv({ start: middleX - halfX, end: middleX + halfX });
  ranges.y.setv({ start: middleY - halfY, end: middleY + halfY });
}

function middle(range) {
  return (range.start + range.end) / 2;
}

function spanOf(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  return [low, high];
}

function showWholeMap() {
  const [left, right] = spanOf(x), [bottom, top] = spanOf(y), margin = 48;
  const units = Math.max(
    (right - left) / Math.max(1, map.clientWidth - margin),
    (top - bottom) / Math.max(1, map.clientHeight - margin), 1);
  setView((left + right) / 2, (bottom + top) / 2, units);
}

function zoom(factor) {
  setView(middle(ranges.x), middle(ranges.y), perPixel() / factor);
}

/** Move the map so that a clip is on it. */
function bringIntoView(row) {
  const isIn = (value, range) => value > range.start && value < range.end;
  if (!isIn(x[row], ranges.x) || !isIn(y[row], ranges.y)) setView(x[row], y[row], perPixel());
}

function showMarks(found) {
  const ink = colourOf("--ink");
  const rows = [...found, ...state.terms.map(({ row }) => row)];
  const mark = { x: rows.map((row) => x[row]), y: rows.map((row) => y[row]),
                 size: rows.map((_, place) => place < found.length ? 13 : 18),
                 line: rows.map(() => ink), width: rows.map((_, place) => place < found.length ? 1.2 : 2) };
  if (state.chosen !== null) {
    mark.x.push(x[state.chosen]);
    mark.y.push(y[state.chosen]);
    mark.size.push(22);
    mark.line.push(ink);
    mark.width.push(3.5);
  }
  marks.data = mark;
}

function showTip(event) {
  const tip = at("tip"), box = map.getBoundingClientRect(), units = perPixel();
  const px = event.clientX - box.left, py = event.clientY - box.top;
  const spot = { x: ranges.x.start + px * units, y: ranges.y.end - py * units };
  const row = event.buttons ? null : nearest(x, y, spot, isShown, REACH * units);
  tip.hidden = row === null;
  map.style.cursor = row === null ? "" : "pointer";
  if (row === null) return;
  tip.textContent = [nameOf(row), labelOf(row)].filter(Boolean).join(": ");
  tip.style.left = `${Math.max(0, Math.min(px + 12, box.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${py + tip.offsetHeight + 24 > box.height ? py - tip.offsetHeight - 8 : py + 16}px`;
}

// ---------------------------------------------------------------- lists

/** A button for a clip: its mark, its name, and a few words more. */
function clipButton(row, more) {
  const button = document.createElement("button"), group = groups.list[groups.of[row]];
  button.type = "button";
  button.dataset.row = row;
  const mark = textPart("mark", group.shape[1]);
  mark.style.color = group.colour;
  mark.setAttribute("aria-hidden", "true");
  button.append(mark, textPart("name", nameOf(row)), textPart("more", more));
  button.addEventListener("click", () => choose(row));
  return button;
}

function textPart(kind, text) {
  const part = document.createElement("span");
  part.className = kind;
  part.textContent = text;
  return part;
}

function fill(list, parts) {
  list.replaceChildren(...parts.map((part) => {
    const item = document.createElement("li");
    item.append(...[part].flat());
    return item;
  }));
}

/** Up and down go through the buttons of a list. */
function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const buttons = [...event.currentTarget.querySelectorAll("button")];
  const next = buttons[buttons.indexOf(document.activeElement) + step];
  if (next) next.focus();
  event.preventDefault();
}

function showList() {
  const rows = [...shown.keys()].filter(isShown);
  const last = Math.max(0, Math.ceil(rows.length / PER_LIST) - 1);
  state.page = Math.min(state.page, last);
  const first = state.page * PER_LIST, part = rows.slice(first, first + PER_LIST);
  fill(at("list"), part.map((row) => clipButton(row, labelOf(row) || folderOf(row))));
  at("all-title").textContent =
    rows.length === count ? `All ${count} sounds` : `${rows.length} of ${count} sounds`;
  at("where").textContent = part.length ? `${first + 1} to ${first + part.length}` : "none";
  at("before").disabled = state.page === 0;
  at("after").disabled = state.page === last;
  showCurrent();
}

function showCurrent() {
  for (const button of document.querySelectorAll("#side li button[data-row]")) {
    if (Number(button.dataset.row) === state.chosen) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

function showLegend() {
  at("legend").replaceChildren(...groups.list.flatMap((group, place) => {
    if (group.size === 0) return [];
    const button = document.createElement("button"), mark = textPart("mark", group.shape[1]);
    button.type = "button";
    mark.style.color = group.colour;
    mark.setAttribute("aria-hidden", "true");
    button.append(mark, textPart("", `${group.name} (${group.size})`));
    button.setAttribute("aria-pressed", String(state.only === place));
    button.addEventListener("click", () => {
      state.only = state.only === place ? null : place;
      at("legend").querySelectorAll("button").forEach((other) => other.setAttribute(
        "aria-pressed", String(other === button && state.only !== null)));
      filter();
    });
    return [button];
  }));
}

/** Show what the words and the group ask for, on the map and in the list. */
function filter() {
  const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
  for (let row = 0; row < count; row++) {
    const about = `${folderOf(row)}/${nameOf(row)} ${labelOf(row)}`.toLowerCase();
    const isMeant = state.only === null || groups.of[row] === state.only;
    shown[row] = isMeant && words.every((word) => about.includes(word)) ? 1 : 0;
  }
  state.page = 0;
  points.data = { x, y, ...looks() };
  showList();
  say(at("all-title").textContent);
}

// ---------------------------------------------------------------- search

/** The clips in the direction of the search, or else of the chosen clip, and how they are headed. */
function found() {
  const isQuery = state.terms.length > 0 || state.text >= 0;
  const terms = state.terms.length || state.chosen === null ? state.terms : [{ row: state.chosen, sign: 1 }];
  if (!terms.length) return { title: "Most alike", rows: [], values: [] };
  const space = state.text >= 0 ? texts.clips : vectors;
  const start = state.text >= 0
    ? texts.latents.values.subarray(state.text * texts.latents.dim, (state.text + 1) * texts.latents.dim)
    : null;
  const values = cosines(space, combined(space, terms, start));
  if (values === null) {
    const title = terms.length > 1 ? "These sounds cancel each other" : "Nothing to compare it with";
    return { title, rows: [], values: [] };
  }
  const own = new Set(terms.map(({ row }) => row));
  const rows = highest(values, MOST_FOUND, (row) => !own.has(row));
  const title = isQuery ? `Found: ${wording(terms)}` : `Most alike to ${nameOf(terms[0].row)}`;
  return { title, rows, values };
}

function wording(terms) {
  const words = terms.map(({ row, sign }, place) =>
    `${sign < 0 ? "− " : place ? "+ " : ""}${nameOf(row)}`);
  return words.join(" ") + (state.text >= 0 ? `, “${texts.words[state.text]}”` : "");
}

function showFound() {
  const { title, rows, values } = found();
  at("found-title").textContent = title;
  fill(at("found"), rows.map((row) => {
    const label = labelOf(row) || folderOf(row);
    return clipButton(row, `${label ? `${label}, ` : ""}${values[row].toFixed(2)}`);
  }));
  showMarks(rows);
  showCurrent();
  return rows;
}

function showTerms() {
  fill(at("terms"), state.terms.map(({ row, sign }) => {
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "×";
    remove.setAttribute("aria-label", `Remove ${nameOf(row)} from the search`);
    remove.addEventListener("click", () => {
      setTerms(state.terms.filter((term) => term.row !== row));
      at("search-title").focus();
    });
    const signPart = textPart("sign", sign > 0 ? "+" : "−");
    signPart.setAttribute("aria-label", sign > 0 ? "with" : "without");
    signPart.setAttribute("role", "img");
    return [signPart, textPart("name", nameOf(row)), textPart("more", labelOf(row)), remove];
  }));
  at("clear").hidden = !state.terms.length && state.text < 0;
  at("search-help").hidden = state.terms.length > 0;
}

function setTerms(terms) {
  state.terms = terms;
  showTerms();
  const rows = showFound();
  say(`${at("found-title").textContent}. ${rows.slice(0, 3).map(nameOf).join(", ")}`);
}

/** Add the chosen clip to the search, or turn its sign. */
function addTerm(sign) {
  if (state.chosen === null) return;
  const others = state.terms.filter(({ row }) => row !== state.chosen);
  setTerms([...others, { row: state.chosen, sign }]);
}

// ---------------------------------------------------------------- the chosen sound

const player = at("player");
let loaded = null; // address of a served sound, to be let go with the next

function choose(row) {
  state.chosen = row;
  at("chosen-name").textContent = nameOf(row);
  at("chosen-about").textContent = aboutOf(row);
  at("chosen-parts").hidden = false;
  showPicture(row);
  bringIntoView(row);
  const rows = showFound();
  const first = rows.slice(0, 3).map((other) => [nameOf(other), labelOf(other)].filter(Boolean).join(" "));
  const isQuery = state.terms.length > 0 || state.text >= 0;
  say(`${nameOf(row)}, ${aboutOf(row)}.${isQuery ? "" : ` Most alike: ${first.join("; ")}`}`);
  load(row).then((isThere) => isThere && at("autoplay").checked && state.chosen === row && play());
}

function showPicture(row) {
  const picture = at("picture"), content = at(`picture-${row}`);
  picture.hidden = content === null;
  if (content === null) return;
  picture.src = `data:image/webp;base64,${content.textContent}`;
  picture.alt = `Spectrogram of ${nameOf(row)}`;
}

/** Give the player the sound, from inside the page, its server or the file beside it: whether it has it. */
async function load(row) {
  if (loaded) URL.revokeObjectURL(loaded);
  loaded = null;
  const inside = at(`sound-${row}`);
  if (inside) player.src = `data:audio/mpeg;base64,${inside.textContent}`;
  else if (!data.isServed) player.src = data.links[row];
  else {
    // Without `load`, the sound before would go on under the name of this one.
    player.pause();
    player.removeAttribute("src");
    player.load();
    const { sound, reason } = await served(row);
    if (state.chosen !== row) return false;
    if (reason) {
      cantPlay(reason);
      return false;
    }
    loaded = URL.createObjectURL(sound);
    player.src = loaded;
  }
  player.setAttribute("aria-label", `Sound: ${nameOf(row)}`);
  return true;
}

/** A sound from the server, as a whole, so that one can go to any place in it; or why there is none. */
async function served(row) {
  try {
    const answer = await fetch(`sound/${row}`);
    return answer.ok ? { sound: await answer.blob() } : { reason: (await answer.text()).trim() };
  } catch {
    return { reason: "what served this page does not answer" };
  }
}

function play() {
  // Refused until a person has done something on the page, which is as it should be.
  player.play().catch((error) => {
    if (error.name === "NotSupportedError") cantPlay(UNPLAYABLE);
  });
}

function cantPlay(reason) {
  at("chosen-about").textContent = `${aboutOf(state.chosen)}. It can't be played here: ${reason}.`;
  say(`${nameOf(state.chosen)} can't be played here: ${reason}`);
}

function say(text) {
  at("status").textContent = text;
}

// ---------------------------------------------------------------- what is pressed

function onMapKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const way = WAYS[event.key];
  if (way) {
    const start = { x: middle(ranges.x), y: middle(ranges.y) };
    const next = state.chosen === null
      ? nearest(x, y, start, isShown)
      : neighbourTowards(x, y, state.chosen, way, isShown);
    if (next === null) say("No sound further that way");
    else choose(next);
  } else if (event.key === "Enter" || event.key === " ") {
    if (state.chosen !== null) player.paused ? play() : player.pause();
  } else if (event.key === "a") addTerm(1);
  else if (event.key === "s") addTerm(-1);
  else if (event.key === "+" || event.key === "=") zoom(1.5);
  else if (event.key === "-") zoom(1 / 1.5);
  else if (event.key === "0") showWholeMap();
  else return;
  event.preventDefault();
}

function listen() {
  map.addEventListener("keydown", onMapKey);
  map.addEventListener("pointermove", showTip);
  map.addEventListener("pointerleave", () => { at("tip").hidden = true; });
  at("find").addEventListener("input", (event) => { state.find = event.target.value; filter(); });
  at("colour-by").addEventListener("change", (event) => {
    groups = groupsBy(event.target.value);
    state.only = null;
    showLegend();
    filter();
    showFound();
  });
  at("zoom-in").addEventListener("click", () => zoom(1.5));
  at("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  at("whole").addEventListener("click", showWholeMap);
  at("plus").addEventListener("click", () => addTerm(1));
  at("minus").addEventListener("click", () => addTerm(-1));
  at("clear").addEventListener("click", () => {
    state.text = -1;
    if (texts) at("text").value = "-1";
    setTerms([]);
    at("search-title").focus();
  });
  at("before").addEventListener("click", () => { state.page--; showList(); });
  at("after").addEventListener("click", () => { state.page++; showList(); });
  for (const list of ["found", "list"]) at(list).addEventListener("keydown", walk);
  player.addEventListener("error", () => player.hasAttribute("src") && cantPlay(UNPLAYABLE));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    plot.setv(papers());
    showFound();
  });
  if (texts) listenToTexts();
}

function listenToTexts() {
  const select = at("text");
  select.append(new Option("(no words)", "-1"), ...texts.words.map((text, place) => new Option(text, place)));
  select.addEventListener("change", () => {
    state.text = Number(select.value);
    setTerms(state.terms);
  });
}

at("colour-by").value = groups.kind;
at("colour-by").parentElement.hidden = !data.labels.length;
at("search-title").tabIndex = -1;
listen();
showLegend();
showList();
showWholeMap();
Bokeh.Plotting.show(plot, map).then(() => {
  new ResizeObserver(() => setView(middle(ranges.x), middle(ranges.y), perPixelBefore())).observe(map);
  document.documentElement.dataset.ready = "yes";
});

let heightBefore = 0;

/** Units per pixel before the size of the map changed. */
function perPixelBefore() {
  const units = (ranges.y.end - ranges.y.start) / (heightBefore || map.clientHeight);
  heightBefore = map.clientHeight;
  return units;
}
