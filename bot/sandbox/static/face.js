// The page: who looks at what, the live state, and what is said to one person only.

import { alertBox, post, toast } from "./dom.js";
import { drawSlack, report } from "./slack.js";
import { openTarget } from "./mini_app.js";
import { listenTo, offer } from "./suggestions.js";
import { drawTelegram, setReply, takeReply } from "./telegram.js";

const asked = new URLSearchParams(location.search);
const remembered = (name) => asked.get(name) ?? sessionStorage.getItem(name) ?? "";
const chosen = {
  slack: remembered("slack"),
  channel: remembered("channel"),
  telegram: remembered("telegram"),
  chat: remembered("chat"),
};
const seen = { slack: {}, telegram: {} };
const noticed = { slack: -1, telegram: -1 };
let version = -1;
let asking = new AbortController();

function choose(name, value) {
  chosen[name] = value;
  sessionStorage.setItem(name, value);
  version = -1;
  asking.abort();
}

async function watch() {
  for (;;) {
    asking = new AbortController();
    try {
      const wanted = new URLSearchParams({ ...chosen, after: version });
      const answer = await fetch(`/face/state?${wanted}`, { signal: asking.signal });
      const state = await answer.json();
      if (state.error) throw new Error(state.error);
      version = state.version;
      draw(state);
      document.body.classList.remove("lost");
    } catch (problem) {
      if (problem.name === "AbortError") continue;
      document.body.classList.add("lost");
      await new Promise((wait) => setTimeout(wait, 1000));
      version = -1;
    }
  }
}

function draw(state) {
  for (const pane of ["slack", "telegram"]) {
    options(document.getElementById(`${pane}-me`), state[pane].people, state[pane].me.id);
    options(document.getElementById(`${pane}-place`), state[pane].places, state[pane].here, seen[pane]);
    badge(pane, state[pane]);
    announce(pane, state[pane]);
    offer(pane, state[pane].commands, state[pane].mentions);
  }
  drawSlack(state.slack);
  drawTelegram(state.telegram);
}

function options(select, things, current, known) {
  const wanted = things.map((thing) => [thing.id, label(thing, current, known)]);
  const print = JSON.stringify([wanted, current]);
  if (select.dataset.print === print) return;
  select.dataset.print = print;
  select.replaceChildren(...wanted.map(([id, words]) => new Option(words, id, false, id === current)));
}

function label(thing, current, known) {
  const prefix = thing.kind === "channel" ? "# " : thing.kind === "direct" || thing.kind === "private" ? "@ " : "";
  const unread = known && thing.id !== current ? thing.count - (known[thing.id] ?? 0) : 0;
  return `${prefix}${thing.name}${thing.note ? ` (${thing.note})` : ""}${unread > 0 ? ` (${unread} new)` : ""}`;
}

// How many messages arrived in places that are not on screen.
function badge(pane, state) {
  const shown = document.querySelector("main").dataset.shown === pane || matchMedia("(min-width: 800px)").matches;
  if (shown) seen[pane][state.here] = state.places.find((place) => place.id === state.here)?.count ?? 0;
  const fresh = state.places.reduce((sum, place) => sum + Math.max(0, place.count - (seen[pane][place.id] ?? 0)), 0);
  const mark = document.querySelector(`[data-pane=${pane}] .badge`);
  mark.hidden = !fresh;
  mark.textContent = String(fresh);
}

// Toasts and alerts that came since the last look. What was said before the page was opened is not said again.
function announce(pane, state) {
  const newest = state.notices.at(-1)?.number ?? 0;
  if (noticed[pane] >= 0) {
    for (const notice of state.notices.filter((one) => one.number > noticed[pane])) {
      if (notice.kind === "alert") alertBox(notice.text);
      else if (notice.kind === "toast") toast(notice.text);
      else if (notice.kind !== "ephemeral") toast(notice.text, "bad");
    }
  }
  noticed[pane] = Math.max(noticed[pane], newest);
}

function listen(pane, place) {
  document.getElementById(`${pane}-me`).addEventListener("change", (event) => {
    noticed[pane] = -1;
    if (pane === "slack" && current("slack-place") === "home") {
      post("/control/slack/home", { user: event.target.value });
    }
    choose(pane, event.target.value);
  });
  document.getElementById(`${pane}-place`).addEventListener("change", (event) => {
    if (event.target.value === "home") post("/control/slack/home", { user: current("slack-me") });
    choose(place, event.target.value);
  });
  document.querySelector(`[data-pane=${pane}]`).addEventListener("click", () => show(pane));
}

function show(pane) {
  document.querySelector("main").dataset.shown = pane;
  for (const button of document.querySelectorAll("[data-pane]")) {
    button.setAttribute("aria-pressed", String(button.dataset.pane === pane));
  }
  const log = document.getElementById(`${pane}-log`);
  log.scrollTop = log.scrollHeight;
  version = -1;
  asking.abort();
}

const current = (id) => document.getElementById(id).value;

document.getElementById("slack-composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const input = document.getElementById("slack-text");
  const text = input.value.trim();
  const channel = current("slack-place");
  if (!text || channel === "home") return;
  input.value = "";
  const user = current("slack-me");
  if (text.startsWith("/")) report(await post("/control/slack/command", { channel, command: text, user }));
  else report(await post("/control/slack/say", { channel, text, user }));
});

document.getElementById("telegram-composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const input = document.getElementById("telegram-text");
  const text = input.value.trim();
  if (!text) return;
  input.value = "";
  const said = { chat: current("telegram-place"), text, user: current("telegram-me"), ...takeReply() };
  report(await post("/control/telegram/say", said));
});

document.getElementById("telegram-menu").addEventListener("click", async () => {
  const answer = await post("/control/telegram/menu", { user: current("telegram-me") });
  report(answer);
  openTarget(answer);
});

document.querySelector("#telegram-replying button").addEventListener("click", () => setReply(null));
listen("slack", "channel");
listen("telegram", "chat");
listenTo("slack");
listenTo("telegram");
if (chosen.channel === "home") post("/control/slack/home", { user: chosen.slack || "Reviewer One" });
if (asked.get("pane")) show(asked.get("pane") === "telegram" ? "telegram" : "slack");
watch();
