// The map: points, marks around what is chosen and found, the part in view, and the tip at the pointer.
"use strict";

const REACH = 16; // pixels around a point within which it is met

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
  // A second click soon after another is no tap to BokehJS, wherever it is.
  for (const click of ["tap", "doubletap"]) figure.on_event(click, chooseAt);
  return figure;
}

/** Choose the clip that is met at a place of the map, if there is one. */
function chooseAt(spot) {
  map.focus({ preventScroll: true });
  const row = nearest(x, y, { x: spot.x, y: spot.y }, isShown, REACH * perPixel());
  if (row !== null) choose(row);
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

let heightBefore = 0;

/** Units per pixel before the size of the map changed. */
function perPixelBefore() {
  const units = (ranges.y.end - ranges.y.start) / (heightBefore || map.clientHeight);
  heightBefore = map.clientHeight;
  return units;
}
