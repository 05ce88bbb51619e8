// What is pressed, and the start of the page; after all other scripts.
"use strict";

const WAYS = {
  ArrowLeft: { x: -1, y: 0 }, ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: 1 }, ArrowDown: { x: 0, y: -1 },
};

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
  at("legend").addEventListener("scroll", showWhetherMoreGroups);
  new ResizeObserver(showWhetherMoreGroups).observe(at("legend"));
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
