// A form of several steps, one at a time. Without a script the steps stand below each other.

import { texts, words } from "./common.js";
import { answerOf, fieldsOf, labelOf } from "./fields.js";
import { check } from "./problems.js";

const asked = (step) => {
  const fields = fieldsOf(step);
  return !fields.length || fields.some((field) => !field.hidden);
};

export class Wizard {
  /** The wizard of a form that has several steps; null for any other. */
  static of(form) {
    return form.querySelectorAll(".step").length > 1 ? new Wizard(form) : null;
  }

  constructor(form) {
    this.form = form;
    this.steps = [...form.querySelectorAll(".step")];
    this.buttons = [...form.querySelectorAll(".buttons .button:not([data-back], [data-next])")];
    this.backButton = form.querySelector("[data-back]");
    this.nextButton = form.querySelector("[data-next]");
    this.bar = form.querySelector("[data-walked]");
    this.bar.hidden = false;
    this.backButton.addEventListener("click", () => this.back());
    this.nextButton.addEventListener("click", () => this.next());
    form.addEventListener("wanted", (event) => {
      const step = event.target.closest(".step");
      if (step) this.go(this.steps.indexOf(step), { focus: false });
    });
    this.popped = (event) => {
      if (form.isConnected) this.go((event.state?.step ?? 1) - 1, { remember: false });
      else window.removeEventListener("popstate", this.popped);
    };
    window.addEventListener("popstate", this.popped);
    this.show(Math.min(Number(form.dataset.step) || 1, this.steps.length) - 1);
    history.replaceState({ ...history.state, step: this.number }, "");
  }

  get number() {
    return this.current + 1;
  }

  get last() {
    return this.after(1) === null;
  }

  /** The next step in that direction that asks for anything; null when there is none. */
  after(direction) {
    for (let n = this.current + direction; n >= 0 && n < this.steps.length; n += direction) {
      if (asked(this.steps[n])) return n;
    }
    return null;
  }

  next() {
    const following = this.after(1);
    if (following !== null && check(this.form, this.steps[this.current])) this.go(following);
  }

  back() {
    const before = this.after(-1);
    if (before !== null) this.go(before);
  }

  go(n, { focus = true, remember = true } = {}) {
    if (n === this.current || !this.steps[n]) return;
    this.show(n);
    if (remember) history.pushState({ ...history.state, step: this.number }, "");
    this.form.dispatchEvent(new CustomEvent("step"));
    if (!focus) return;
    this.form.scrollIntoView({ block: "start" });
    this.steps[n].querySelector("h2").focus({ preventScroll: true });
  }

  show(n) {
    this.current = n;
    this.form.dataset.step = this.number;
    for (const [m, step] of this.steps.entries()) step.hidden = m !== n;
    this.bar.value = this.number;
    const place = this.steps[n].querySelector("[data-answers]");
    if (place) place.replaceChildren(...this.answersBefore(n));
    this.refresh();
  }

  /** Which buttons there are depends on the answers: they may leave a later step without anything to ask. */
  refresh() {
    this.backButton.hidden = this.after(-1) === null;
    this.nextButton.hidden = this.last;
    for (const button of this.buttons) button.hidden = !this.last;
  }

  answersBefore(n) {
    return this.steps.slice(0, n).filter((step) => fieldsOf(step).some((field) => !field.hidden)).map((step) => {
      const title = step.querySelector("h2").textContent;
      const part = document.createElement("div");
      const head = document.createElement("div");
      head.className = "answers-head";
      const heading = document.createElement("h3");
      heading.textContent = title;
      const change = document.createElement("button");
      Object.assign(change, { type: "button", className: "quiet small", textContent: texts.change });
      change.setAttribute("aria-label", words(texts.change_step, title));
      change.addEventListener("click", () => this.go(this.steps.indexOf(step)));
      head.append(heading, change);
      part.append(head, listOf(fieldsOf(step).filter((field) => !field.hidden)));
      return part;
    });
  }
}

function listOf(fields) {
  const list = document.createElement("dl");
  list.className = "facts";
  for (const field of fields) {
    const line = document.createElement("div");
    const name = document.createElement("dt");
    const value = document.createElement("dd");
    name.textContent = labelOf(field);
    value.textContent = answerOf(field);
    value.dir = name.dir = "auto";
    line.append(name, value);
    list.append(line);
  }
  return list;
}
