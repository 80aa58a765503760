// What the inbox does better with a script: it follows what happens, and is worked with the keyboard. Everything here
// works without it as well, by links and forms.

import { byId, reader, say, words } from "./common.js";

const texts = JSON.parse(byId("inbox-texts").textContent);
const RETRY = 1_000;
const RETRY_AT_MOST = 60_000;
const AGREES = ["approve", "confirm", "retry"];
const REFUSES = ["reject", "cancel", "abort"];
const SURE = 350; // milliseconds between arming an answer and giving it: a bouncing key is no second press

// --- times, in the reader's own zone ------------------------------------------------------------------------------

const format = new Intl.DateTimeFormat(reader, { dateStyle: "medium", timeStyle: "short" });

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const local = format.format(new Date(time.dateTime));
    if ("left" in time.dataset) time.title = local;
    else time.textContent = local;
  }
}

// --- a word in passing --------------------------------------------------------------------------------------------

let passing = null;

function hush() {
  clearTimeout(passing);
  document.querySelector(".hinted")?.remove();
}

function hint(text) {
  hush();
  say(text);
  const place = document.createElement("p");
  Object.assign(place, { className: "hinted", textContent: text });
  place.setAttribute("aria-hidden", "true"); // it was just said
  document.body.append(place);
  passing = setTimeout(hush, 4_000);
}

// --- the list, as it is now ---------------------------------------------------------------------------------------

const items = () => [...document.querySelectorAll("#items .item[data-case]")];
const picks = () => [...document.querySelectorAll("#items .pick input")];

/** Several can be answered together only if they ask the same. */
function onlyAlike() {
  const picked = picks().filter((one) => one.checked);
  const kind = picked[0]?.closest(".item").dataset.alike;
  for (const one of picks()) one.disabled = kind !== undefined && one.closest(".item").dataset.alike !== kind;
  const bar = byId("bulk-bar");
  if (bar) bar.hidden = picked.length < 2;
  return picked.length;
}

function furnish() {
  localTimes(byId("queue"));
  onlyAlike();
  byId("items").addEventListener("change", () => { say(words(texts.several, onlyAlike())); });
}

/** Puts the list as it is now in the place of this one; what the reader is at stays as it is. */
async function refresh() {
  const queue = byId("queue");
  const open = document.querySelector("#items .item.current")?.dataset.case ?? opened();
  const url = new URL(queue.dataset.list, location.href);
  if (open) url.searchParams.set("case", open);
  const answer = await fetch(url, { referrerPolicy: "no-referrer" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("queue");
  if (!fresh) return;
  const before = new Set(items().map((one) => one.dataset.case));
  const picked = new Set(picks().filter((one) => one.checked).map((one) => one.value));
  const focused = document.activeElement?.closest("#items .item")?.dataset.case;
  const typing = document.activeElement?.closest(".filters");
  const scrolled = queue.parentElement.scrollTop;
  if (typing) { // nobody loses what they are typing
    for (const place of ["#items", ".queue-head :is(h1, h2)"]) queue.querySelector(place).replaceWith(document.adoptNode(fresh.querySelector(place)));
  } else {
    const unfolded = queue.querySelector(".filters").open;
    queue.replaceWith(document.adoptNode(fresh));
    byId("queue").querySelector(".filters").open = unfolded;
  }
  for (const one of picks()) one.checked = picked.has(one.value);
  const added = items().filter((one) => !before.has(one.dataset.case));
  for (const one of added) one.classList.add("fresh");
  furnish();
  live.show();
  byId("queue").parentElement.scrollTop = scrolled;
  if (focused) items().find((one) => one.dataset.case === focused)?.querySelector(".open").focus({ preventScroll: true });
  if (before.size !== items().length || added.length) {
    say(added.length ? words(texts.new, added[0].querySelector(".prompt").textContent) : texts.changed);
  }
  if (byId("main").dataset.state === "list") {
    const total = Number(byId("queue").dataset.total);
    document.title = document.title.replace(/^([^·(]*?)( \(\d+\))?( ·.*)?$/, (_, name, __, more) => `${name.trim()}${total ? ` (${total})` : ""}${more ?? ""}`);
  }
}

const opened = () => byId("main").dataset.own?.split("/").at(-1);

class Live {
  constructor() {
    this.wait = RETRY;
    this.again = false;
    this.asked = false;
    this.busy = false;
  }

  start() {
    const source = new EventSource(byId("queue").dataset.events);
    source.addEventListener("hello", () => {
      this.wait = RETRY;
      if (this.again) this.changed(); // something may have happened meanwhile
      this.set(false);
    });
    source.addEventListener("changed", () => this.changed());
    source.addEventListener("error", () => {
      source.close();
      this.set(true);
      setTimeout(() => this.start(), this.wait * (0.75 + Math.random() / 2));
      this.wait = Math.min(RETRY_AT_MOST, this.wait * 2);
    });
  }

  /** One question at a time, and one more when something has changed meanwhile. */
  async changed() {
    this.asked = true;
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.asked) {
        this.asked = false;
        await refresh();
      }
    } catch {
      // The next event asks again.
    } finally {
      this.busy = false;
    }
  }

  set(again) {
    this.again = again;
    this.show();
  }

  show() {
    const place = byId("connection");
    place.hidden = false;
    place.classList.toggle("again", this.again);
    place.textContent = this.again ? texts.again : texts.live;
  }
}

// --- the keyboard -------------------------------------------------------------------------------------------------
// No stray key decides: a case has to be open and its answer in sight, and the key is pressed twice.

class Keyboard {
  constructor() {
    this.armed = null;
    this.since = 0;
    this.read = false;
    const disarm = (event) => { if (this.armed && event.target !== this.armed) this.disarm(); };
    document.addEventListener("focusin", disarm);
    document.addEventListener("pointerdown", disarm);
    document.addEventListener("submit", () => this.disarm()); // what was asked for is done
    document.addEventListener("keydown", (event) => this.press(event));
    this.watch();
  }

  /** Whether the answer's buttons have been in sight: they stand below everything that is shown. */
  watch() {
    const buttons = this.buttons();
    if (!buttons.length) return;
    const seen = new IntersectionObserver((entries) => {
      if (entries.some((one) => one.isIntersecting)) {
        this.read = true;
        seen.disconnect();
      }
    }, { threshold: 1 });
    seen.observe(buttons[0]);
  }

  buttons() {
    return byId("main").dataset.own ? [...document.querySelectorAll("form#answer .button[name=action]:not([hidden])")] : [];
  }

  press(event) {
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select, dialog");
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") {
      this.disarm();
      if (typing && !event.target.closest("dialog")) event.target.blur();
      return;
    }
    if (typing || event.repeat) return;
    const does = {
      j: () => this.move(1), k: () => this.move(-1), a: () => this.answer("a", AGREES),
      r: () => this.answer("r", REFUSES), x: () => this.pick(), "/": () => this.search(), "?": () => this.help(),
    }[event.key];
    if (!does) {
      if (event.key !== "Enter") this.disarm();
      return;
    }
    event.preventDefault();
    does();
  }

  move(by) {
    this.disarm();
    const all = items();
    const focused = document.activeElement?.closest("#items .item");
    const at = all.indexOf(focused ?? document.querySelector("#items .item.current"));
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    if (next?.checkVisibility()) next.querySelector(".open").focus();
  }

  pick() {
    const box = (document.activeElement?.closest("#items .item") ?? document.querySelector("#items .item.current"))?.querySelector(".pick input");
    if (box && !box.disabled) box.click();
  }

  search() {
    const place = byId("q") ?? byId("past-q");
    const filters = document.querySelector(".filters");
    if (filters) filters.open = true;
    place?.focus();
  }

  answer(key, actions) {
    if (!byId("main").dataset.own) return hint(texts.no_case);
    const button = this.buttons().find((one) => actions.includes(one.value));
    if (!button) return hint(texts.not_here);
    if (this.armed === button) {
      if (performance.now() - this.since < SURE) return undefined;
      this.disarm();
      return button.click();
    }
    this.disarm();
    if (!this.read && !inSight(button)) {
      button.scrollIntoView({ block: "center" });
      return hint(words(texts.read, key));
    }
    const place = document.querySelector("form#answer[data-asks-reason] [data-words]");
    if (actions === REFUSES && place && !place.value.trim()) {
      place.focus();
      return hint(texts.why);
    }
    button.focus();
    this.armed = button;
    this.since = performance.now();
    button.classList.add("armed");
    return hint(words(words(texts.press, key), button.textContent.trim()));
  }

  /** Nothing is about to be answered, so nothing says so any more. */
  disarm() {
    hush();
    this.armed?.classList.remove("armed");
    this.armed = null;
  }

  help() {
    if (document.querySelector(".keys")?.open) return;
    document.querySelector(".keys")?.remove();
    const dialog = document.createElement("dialog");
    dialog.className = "keys";
    const title = Object.assign(document.createElement("h2"), { textContent: texts.keys, id: "keys-title" });
    dialog.setAttribute("aria-labelledby", "keys-title");
    const list = Object.assign(document.createElement("dl"), { className: "facts" });
    for (const [key, what] of texts.help) {
      const [row, name, about, kbd] = ["div", "dt", "dd", "kbd"].map((tag) => document.createElement(tag));
      kbd.textContent = key;
      name.append(kbd);
      about.textContent = what;
      row.append(name, about);
      list.append(row);
    }
    const close = Object.assign(document.createElement("button"), { className: "quiet", textContent: texts.close, type: "button" });
    close.addEventListener("click", () => dialog.close());
    dialog.append(title, list, close);
    document.body.append(dialog);
    dialog.showModal();
  }
}

/** The buttons under several cases say how many of them are still taken. */
function countTaken(form) {
  const buttons = [...form.querySelectorAll("button[data-count]")].map((one) => [one, one.textContent, one.dataset.count]);
  form.addEventListener("change", () => {
    const taken = form.querySelectorAll("input[name=take]:checked").length;
    for (const [button, label, count] of buttons) {
      button.textContent = label.replace(count, taken);
      button.disabled = taken === 0;
    }
  });
}

function inSight(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return top >= 0 && bottom <= window.innerHeight;
}

const live = new Live();
const together = byId("answers");
if (together) countTaken(together);
if (byId("queue")) {
  furnish();
  live.start();
  document.querySelector("#items .item.current")?.scrollIntoView({ block: "nearest" });
}
localTimes(byId("main"));
new Keyboard();
