// The chosen sound: its picture, its player, and what is said of it.
"use strict";

const UNPLAYABLE = "its file is gone, or of a kind that this browser can't decode";

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
