// Lists: all clips that are shown, the legend, the terms of the search, and what is found.
"use strict";

const MOST_FOUND = 12;
const PER_LIST = 50;

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
  at("n-shown").textContent = rows.length === count ? "" : `${rows.length} of ${count}`;
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
  showWhetherMoreGroups();
}

/** The lower edge of the legend fades where there are groups below it. */
function showWhetherMoreGroups() {
  const legend = at("legend");
  const below = legend.scrollHeight - legend.scrollTop - legend.clientHeight;
  legend.classList.toggle("more-below", below > 1);
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
