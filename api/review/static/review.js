// What the review page does better with a script. Everything it does here works without it as well: the form is a
// plain form, and each answer to it is a whole page.

const texts = JSON.parse(document.getElementById("texts").textContent);
const language = document.documentElement.lang;
const reader = navigator.languages.find((one) => one.startsWith(language)) ?? language; // en-GB has other dates than en-US
const POLL = 4_000;
const POLL_AT_MOST = 60_000;
const PROGRESS = 15_000;
const SEND_AT_MOST = 30_000;
const SOON = 3_600_000;
const FIVE_MINUTES = 300_000;

const words = (text, value) => text.replace("{}", () => value);
const byId = (id) => document.getElementById(id);
const say = (text) => { byId("live").textContent = text; };

// --- the token leaves the address bar -----------------------------------------------------------------------------
// It stays in this history entry's state, which only this tab knows, so that a reload still finds the case.

function hideToken() {
  const given = new URLSearchParams(location.search).get("token");
  const works = byId("main").dataset.state !== "none";
  if (given !== null) {
    history.replaceState(works ? { token: given } : null, "", location.pathname + location.hash);
  } else if (!works && history.state?.token) {
    const { token } = history.state;
    history.replaceState(null, "");
    location.replace(`${location.pathname}?token=${encodeURIComponent(token)}`);
  }
  return given ?? history.state?.token ?? null;
}

const token = hideToken() ?? document.querySelector("input[name=token]")?.value ?? null;

function post(url, value) {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) };
  return fetch(url, { ...init, signal: AbortSignal.timeout(SEND_AT_MOST), referrerPolicy: "no-referrer" });
}

// --- times, in the reader's own zone and words --------------------------------------------------------------------

function localTimes(root) {
  const format = new Intl.DateTimeFormat(reader, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[datetime]")) {
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

function reportProgress(form) {
  let told = null;
  let timer = null;
  const tell = () => {
    timer = null;
    const fields = [...form.querySelectorAll(".field[data-key]:not([hidden])")];
    const done = fields.filter((field) => valueOf(field) !== undefined).length;
    const progress = fields.length ? { completed_fields: done, total_fields: fields.length } : {};
    if (!form.isConnected || same(told, progress)) return;
    told = progress;
    report("progress", fields.length ? { progress } : {});
  };
  form.addEventListener("input", () => { timer ??= setTimeout(tell, told ? PROGRESS : 1_000); });
}

// --- fields ---------------------------------------------------------------------------------------------------------

function controlsOf(field) {
  return [...field.querySelectorAll("input[name], select[name], textarea[name]")];
}

/** The field's value as the server would keep it; undefined for none. */
function valueOf(field) {
  const controls = controlsOf(field);
  const checked = controls.filter((control) => control.checked).map((control) => control.value);
  switch (field.dataset.control) {
    case "checkbox": return checked.length > 0;
    case "yes_no": return checked.length ? checked[0] === "true" : undefined;
    case "checkboxes": return checked.length ? checked : undefined;
    default: {
      const text = controls[0].value;
      if (text === "") return undefined;
      return "number" in field.dataset ? Number(text) : text;
    }
  }
}

const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
const comparable = (one, other) => typeof one === typeof other && ["number", "string"].includes(typeof one);

function holds({ operator, value: wanted }, value) {
  switch (operator) {
    case "eq": return same(value, wanted);
    case "neq": return !same(value, wanted);
    case "in": return wanted.some((one) => same(value, one));
    case "gt": return comparable(value, wanted) && value > wanted;
    case "lt": return comparable(value, wanted) && value < wanted;
    default: return true;
  }
}

/** Shows and hides conditional fields; a hidden one is neither asked for nor sent. */
function applyConditions(form) {
  const values = {};
  for (const field of form.querySelectorAll(".field[data-key]")) {
    const condition = field.dataset.when ? JSON.parse(field.dataset.when) : null;
    const shown = condition === null || holds(condition, values[condition.field]);
    field.hidden = !shown;
    for (const control of controlsOf(field)) {
      control.disabled = !shown;
      if ("required" in control.dataset) control.required = shown;
    }
    if (shown) values[field.dataset.key] = valueOf(field);
  }
}

function addSlider(input) {
  const slider = document.createElement("input");
  const label = byId(input.id).closest(".field").querySelector("label").firstChild.textContent.trim();
  Object.assign(slider, { type: "range", min: input.min, max: input.max, step: input.step });
  slider.value = input.value === "" ? input.min : input.value;
  slider.setAttribute("aria-label", words(texts.slider, label));
  slider.addEventListener("input", () => {
    input.value = slider.value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  input.addEventListener("input", () => { if (input.value !== "") slider.value = input.value; });
  const both = document.createElement("div");
  both.className = "slider";
  input.replaceWith(both);
  both.append(slider, input);
}

function addReveal(input) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "quiet", textContent: texts.show });
  button.setAttribute("aria-controls", input.id);
  button.addEventListener("click", () => {
    const hidden = input.type === "password";
    input.type = hidden ? "text" : "password";
    button.textContent = hidden ? texts.hide : texts.show;
  });
  const both = document.createElement("div");
  both.className = "with-button";
  input.replaceWith(both);
  both.append(input, button);
}

// --- what is wrong, beside each field -------------------------------------------------------------------------------

function problemOf(control) {
  if (control.disabled || control.validity.valid) return null;
  const field = control.closest(".field");
  const group = control.type === "radio" ? control.closest("fieldset") : null;
  const target = group ?? control;
  const label = (group?.querySelector("legend") ?? field?.querySelector("label"))?.firstChild.textContent.trim();
  return { target, label, message: control.validationMessage };
}

function problemsOf(form) {
  const found = new Map();
  for (const control of form.querySelectorAll("input, select, textarea")) {
    const problem = problemOf(control);
    if (problem && !found.has(problem.target.id)) found.set(problem.target.id, problem);
  }
  for (const group of form.querySelectorAll("fieldset[data-group]")) {
    const controls = [...group.querySelectorAll("input[type=checkbox]")];
    if (controls.length && !controls[0].disabled && !controls.some((control) => control.checked)) {
      const label = group.querySelector("legend").firstChild.textContent.trim();
      found.set(group.id, { target: group, label, message: texts.choose });
    }
  }
  const order = [...form.querySelectorAll("[id]")];
  return [...found.values()].sort((one, other) => order.indexOf(one.target) - order.indexOf(other.target));
}

function showProblem(target, message) {
  const place = byId(`${target.id}-error`);
  if (!place) return;
  place.hidden = message === null;
  place.textContent = message ?? "";
  if (message === null) target.removeAttribute("aria-invalid");
  else target.setAttribute("aria-invalid", "true");
}

function clearProblems(form) {
  document.querySelector("main > .summary:not(#answer)")?.remove();
  for (const target of form.querySelectorAll("[aria-invalid]")) showProblem(target, null);
}

/** True when the form can be sent; otherwise says what is wrong beside each field and in a summary that has the focus. */
function check(form) {
  clearProblems(form);
  const problems = problemsOf(form);
  if (!problems.length) return true;
  const summary = document.createElement("div");
  summary.className = "summary";
  summary.tabIndex = -1;
  summary.setAttribute("role", "alert");
  const title = document.createElement("h2");
  title.textContent = texts.problem;
  const list = document.createElement("ul");
  for (const { target, label, message } of problems) {
    showProblem(target, message);
    const link = document.createElement("a");
    link.href = `#${target.id}`;
    link.textContent = label ? `${label}: ${message}` : message;
    const line = document.createElement("li");
    line.append(link);
    list.append(line);
  }
  summary.append(title, list);
  byId("main").prepend(summary);
  summary.focus();
  return false;
}

/** A link of the summary leads to the control itself, where typing can begin. */
function followToField(event) {
  const link = event.target.closest(".summary a[href^='#']");
  const target = link && byId(decodeURIComponent(link.hash.slice(1)));
  if (!target) return;
  event.preventDefault();
  const control = target.matches("fieldset") ? target.querySelector("input") : target;
  control.focus();
  target.scrollIntoView({ block: "center" });
}

// --- sending --------------------------------------------------------------------------------------------------------

class Answer {
  constructor(form) {
    this.form = form;
    this.sending = false;
    this.over = false;
    form.noValidate = true;
    form.addEventListener("submit", (event) => this.submit(event));
    form.addEventListener("input", (event) => {
      applyConditions(form);
      const target = event.target.closest("[aria-invalid]") ?? event.target.closest("fieldset[aria-invalid]");
      if (target) showProblem(target, null);
    });
    for (const words of form.querySelectorAll(".unscripted")) words.remove();
    for (const input of form.querySelectorAll("[data-slider]")) addSlider(input);
    for (const input of form.querySelectorAll("input[data-sensitive]")) addReveal(input);
    applyConditions(form);
  }

  async submit(event) {
    event.preventDefault();
    const button = event.submitter ?? this.form.querySelector(".button");
    if (this.sending || this.over || !this.enough(button)) return;
    if (!button.formNoValidate && !check(this.form)) return;
    const body = new URLSearchParams(new FormData(this.form));
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
    for (const one of this.form.querySelectorAll("input, select, textarea, button")) one.disabled = true;
    const look = document.createElement("button");
    Object.assign(look, { type: "button", className: "quiet", textContent: texts.look });
    look.addEventListener("click", reload);
    this.notice(texts[why === "expired" ? "deadline" : why], look);
  }
}

function reload() {
  location.replace(`${location.pathname}?token=${encodeURIComponent(token)}`);
}

// --- a page, the first one and each that answers the form -----------------------------------------------------------

let watch = null;

/** Puts the page that came as an answer in the place of this one. */
function show(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  document.title = page.title;
  byId("main").replaceWith(document.adoptNode(page.getElementById("main")));
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
  localTimes(main);
  const form = main.querySelector("form");
  const answer = form ? new Answer(form) : null;
  if (form && token) reportProgress(form);
  if (main.dataset.state === "open") watch = new Watch(main, (why) => (answer ? answer.end(why) : reload()));
}

document.addEventListener("click", followToField);
begin();
if (byId("main").dataset.state === "open" && token) reportOpened();
