// What the review page does better with a script. Everything it does here works without it as well: the form is a
// plain form, and each answer to it is a whole page.

import { SEND_AT_MOST, byId, post, reader, say, texts, token, words } from "./common.js";
import { bodyOf, fieldsOf, furnish, isFilled } from "./fields.js";
import { check, followToField, forgive, showProblem } from "./problems.js";
import { Saving, prefill } from "./saving.js";
import { Wizard } from "./wizard.js";

const POLL = 4_000;
const POLL_AT_MOST = 60_000;
const PROGRESS = 15_000;
const SOON = 3_600_000;
const FIVE_MINUTES = 300_000;

// --- times, in the reader's own zone and words --------------------------------------------------------------------

function localTimes(root) {
  const format = new Intl.DateTimeFormat(reader, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[datetime]:not([data-left])")) {
    time.title = time.textContent;
    time.textContent = format.format(new Date(time.dateTime));
  }
}

function leftWords(left) {
  const seconds = Math.max(0, Math.ceil(left / 1000));
  const [count, unit] =
    seconds >= 172_800 ? [Math.floor(seconds / 86_400), "day"]
    : seconds >= 7_200 ? [Math.floor(seconds / 3_600), "hour"]
    : seconds >= 600 ? [Math.floor(seconds / 60), "minute"]
    : [null, null];
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const amount = unit ? new Intl.NumberFormat(reader, { style: "unit", unit, unitDisplay: "long" }).format(count) : clock;
  return words(texts.left, amount);
}

// --- an open page: how long it can be answered, and whether it still can ------------------------------------------

class Watch {
  constructor(main, onEnd) {
    this.main = main;
    this.onEnd = onEnd;
    this.deadline = Date.now() + Number(main.dataset.left);
    this.wait = POLL;
    this.warned = Number(main.dataset.left) <= FIVE_MINUTES;
    this.ended = false;
    this.seen = (event) => {
      if (event.type === "pageshow" ? event.persisted : !document.hidden) this.ask();
    };
    document.addEventListener("visibilitychange", this.seen);
    window.addEventListener("pageshow", this.seen);
    this.clock = setInterval(() => this.tick(), 1_000);
    this.tick();
    this.later();
  }

  stop() {
    this.ended = true;
    clearInterval(this.clock);
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.seen);
    window.removeEventListener("pageshow", this.seen);
  }

  end(why) {
    if (this.ended) return;
    this.stop();
    this.onEnd(why);
  }

  tick() {
    const left = this.deadline - Date.now();
    const place = byId("left");
    place.textContent = leftWords(left);
    place.classList.toggle("soon", left < SOON);
    if (!this.warned && left <= FIVE_MINUTES) {
      this.warned = true;
      say(texts.five_minutes);
    }
    if (left <= 0) this.end("expired");
  }

  later() {
    if (!this.ended) this.timer = setTimeout(() => this.ask(), this.wait);
  }

  async ask() {
    clearTimeout(this.timer);
    if (this.ended) return;
    if (!document.hidden) {
      try {
        const answer = await post(this.main.dataset.statusUrl, { token });
        if (!answer.ok) throw new Error(answer.status);
        const { status } = await answer.json();
        this.wait = POLL;
        if (status !== "open") this.end(status);
      } catch {
        this.wait = Math.min(POLL_AT_MOST, this.wait * 2);
      }
    }
    clearTimeout(this.timer);
    this.later();
  }
}

// --- what others may know: that somebody is looking, and how far the form is filled -------------------------------
// Good to know, and nothing more: a report that fails costs nobody anything.

function report(what, value) {
  post(`${byId("main").dataset.reportsUrl}/${what}`, { token, ...value }).catch(() => undefined);
}

function reportOpened() {
  const once = () => {
    if (document.hidden) return;
    document.removeEventListener("visibilitychange", once);
    report("opened");
  };
  document.addEventListener("visibilitychange", once);
  once();
}

/** How far the form is filled (HITL Protocol v0.8, section 10.3.4): the required fields that show, and the filled ones. */
function progressOf(form) {
  const needed = fieldsOf(form).filter((field) => "needed" in field.dataset && !field.hidden);
  const steps = form.querySelectorAll(".step").length;
  const place = steps > 1 ? { current_step: Number(form.dataset.step), total_steps: steps } : {};
  return { ...place, completed_fields: needed.filter(isFilled).length, total_fields: needed.length };
}

function reportProgress(form) {
  let told = null;
  let timer = null;
  const tell = () => {
    clearTimeout(timer);
    timer = null;
    const progress = fieldsOf(form).length ? { progress: progressOf(form) } : {};
    if (!form.isConnected || told === JSON.stringify(progress)) return;
    told = JSON.stringify(progress);
    report("progress", progress);
  };
  form.addEventListener("input", () => { timer ??= setTimeout(tell, told ? PROGRESS : 1_000); });
  form.addEventListener("step", tell);
}

// --- sending --------------------------------------------------------------------------------------------------------

class Answer {
  constructor(form) {
    this.form = form;
    this.sending = false;
    this.over = false;
    form.noValidate = true;
    form.addEventListener("submit", (event) => this.submit(event));
    furnish(form);
    this.wizard = Wizard.of(form);
    form.addEventListener("input", (event) => {
      forgive(event.target);
      this.wizard?.refresh();
    });
    form.addEventListener("keydown", (event) => this.press(event));
    const { saveUrl, prefillUrl } = byId("main").dataset;
    this.saving = saveUrl ? new Saving(form, saveUrl) : null;
    if (prefillUrl) prefill(form, prefillUrl);
  }

  /** Enter in a field goes to the next step, and sends nothing before the last. Ctrl+Enter, also within a text of
   * several lines, presses the one button that there is to press.
   */
  press(event) {
    if (event.key !== "Enter" || event.isComposing) return;
    if (!event.ctrlKey && !event.metaKey) {
      if (!this.wizard || this.wizard.last || !event.target.matches("input, select")) return;
      event.preventDefault();
      this.wizard.next();
      return;
    }
    const buttons = [...this.form.querySelectorAll(".buttons .button:not([data-back], [hidden])")];
    if (buttons.length !== 1) return;
    event.preventDefault();
    buttons[0].click();
  }

  async submit(event) {
    if (event.submitter?.hasAttribute("formaction")) return; // another language is another page
    event.preventDefault();
    const button = event.submitter ?? this.form.querySelector(".button[name=action]");
    if (this.sending || this.over || !this.enough(button)) return;
    if (!button.formNoValidate && !check(this.form)) return;
    const body = bodyOf(this.form);
    body.append(button.name, button.value);
    this.busy(button, true);
    try {
      // Not `form.action`: the buttons are called that.
      const answer = await fetch(this.form.getAttribute("action"), {
        method: "POST", body, signal: AbortSignal.timeout(SEND_AT_MOST), referrerPolicy: "no-referrer",
      });
      if (![200, 400, 403, 409, 410].includes(answer.status)) throw new Error(answer.status);
      show(await answer.text());
    } catch {
      this.busy(button, false);
      this.notice(texts.not_sent);
    }
  }

  /** Asking for changes without a word says little: ask once for some. */
  enough(button) {
    const place = this.form.querySelector("[data-words]");
    if (!("wantsWords" in button.dataset) || !place || place.value.trim() || button.dataset.asked) return true;
    button.dataset.asked = "yes";
    showProblem(place, words(texts.say_what, button.textContent.trim()));
    place.focus();
    return false;
  }

  busy(button, on) {
    this.sending = on;
    this.saving?.pause(on);
    this.form.setAttribute("aria-busy", String(on));
    for (const one of this.form.querySelectorAll(".button")) one.setAttribute("aria-disabled", String(on));
    button.classList.toggle("sending", on);
    if (on) {
      button.dataset.label = button.textContent;
      button.textContent = texts.sending;
      say(texts.sending);
    } else {
      button.textContent = button.dataset.label;
      say("");
    }
  }

  notice(text, ...more) {
    const place = byId("notice");
    const line = document.createElement("p");
    line.textContent = text;
    place.replaceChildren(line, ...more);
    place.hidden = false;
    place.scrollIntoView({ block: "nearest" });
  }

  /** It can no longer be answered. What was typed stays readable; nothing of it was sent. */
  end(why) {
    if (this.sending) return;
    this.over = true;
    this.saving?.stop();
    for (const one of this.form.elements) one.disabled = true;
    const look = document.createElement("button");
    Object.assign(look, { type: "button", className: "quiet", textContent: texts.look });
    look.addEventListener("click", reload);
    this.notice(texts[why === "expired" ? "deadline" : why], look);
  }
}

function reload() {
  const { own } = byId("main").dataset; // in the inbox
  location.replace(own ?? `${location.pathname}?token=${encodeURIComponent(token)}`);
}

// --- a page, the first one and each that answers the form -----------------------------------------------------------

let watch = null;
let answer = null;

/** Puts the page that came as an answer in the place of this one. */
function show(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  document.title = page.title;
  const { own } = byId("main").dataset;
  byId("main").replaceWith(document.adoptNode(page.getElementById("main")));
  if (own) byId("main").dataset.own = own; // in the inbox it stays beside the list
  say("");
  if (!byId("answer")) document.querySelector(".skip")?.remove();
  begin();
  window.scrollTo(0, 0);
  document.querySelector("[data-focus]")?.focus({ preventScroll: true });
}

function begin() {
  const main = byId("main");
  watch?.stop();
  watch = null;
  answer?.saving?.stop();
  localTimes(main);
  const form = main.querySelector("form#answer");
  answer = form ? new Answer(form) : null;
  if (form && token) reportProgress(form);
  if (main.dataset.state === "open") watch = new Watch(main, (why) => (answer ? answer.end(why) : reload()));
}

document.addEventListener("click", followToField);
begin();
if (byId("main").dataset.state === "open" && token) reportOpened();
