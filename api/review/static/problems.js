// What is wrong with an answer: beside each field, and in a summary that has the focus and leads to the fields.

import { byId, texts } from "./common.js";

const number = (text) => new Intl.NumberFormat(texts.lang, { maximumFractionDigits: 20 }).format(Number(text));

/** What the browser found wrong, as the server would have called it: code and limit. Null for what only it knows. */
function codeOf({ type, validity, minLength, maxLength, min, max }) {
  const date = type === "date";
  if (validity.valueMissing && !validity.badInput) return ["required"];
  if (validity.badInput) return [date ? "not_a_date" : "not_a_number"];
  if (validity.typeMismatch) return [type === "email" ? "not_an_email" : "not_a_url"];
  if (validity.patternMismatch) return ["not_matching"];
  if (validity.tooShort) return ["too_short", number(minLength)];
  if (validity.tooLong) return ["too_long", number(maxLength)];
  if (validity.rangeUnderflow) return date ? ["too_early", min] : ["too_small", number(min)];
  if (validity.rangeOverflow) return date ? ["too_late", max] : ["too_large", number(max)];
  return null;
}

function problemOf(control) {
  if (control.disabled || control.validity.valid) return null;
  const field = control.closest(".field");
  const group = control.type === "radio" ? control.closest("fieldset") : null;
  const target = group ?? control;
  const label = (group?.querySelector("legend") ?? field?.querySelector("label"))?.firstChild.textContent.trim();
  const [code, limit] = codeOf(control) ?? [];
  if (!code || !label) return { target, label, message: control.validationMessage };
  return { target, message: texts.wrong[code].replace("{label}", () => label).replace("{limit}", () => limit) };
}

function problemsOf(root) {
  const found = new Map();
  for (const control of root.querySelectorAll("input, select, textarea")) {
    const problem = problemOf(control);
    if (problem && !found.has(problem.target.id)) found.set(problem.target.id, problem);
  }
  for (const group of root.querySelectorAll("fieldset[data-group]")) {
    const controls = [...group.querySelectorAll("input[type=checkbox]")];
    const kept = group.closest(".field[data-kept]:not([data-touched])");
    if (!kept && controls.length && !controls[0].disabled && !controls.some((control) => control.checked)) {
      // The legend of options is no label of a field: it says the same as the problem.
      const label = group.closest(".field")?.querySelector("legend").firstChild.textContent.trim();
      found.set(group.id, { target: group, label, message: texts.choose });
    }
  }
  const order = [...root.querySelectorAll("[id]")];
  return [...found.values()].sort((one, other) => order.indexOf(one.target) - order.indexOf(other.target));
}

export function showProblem(target, message) {
  const place = byId(`${target.id}-error`);
  if (!place) return;
  place.hidden = message === null;
  place.textContent = message ?? "";
  if (message === null) target.removeAttribute("aria-invalid");
  else target.setAttribute("aria-invalid", "true");
}

export function clearProblems(form) {
  for (const summary of document.querySelectorAll("main .summary[role=alert]")) summary.remove();
  for (const target of form.querySelectorAll("[aria-invalid]")) showProblem(target, null);
}

/** What a control has to say once it is written in again: nothing, until it is looked at anew. */
export function forgive(control) {
  const target = control.closest("[aria-invalid]") ?? control.closest("fieldset[aria-invalid]");
  if (target) showProblem(target, null);
}

/** True when this part of the form can be left or sent; otherwise says what is wrong with it. */
export function check(form, part = form) {
  clearProblems(form);
  const problems = problemsOf(part);
  if (!problems.length) return true;
  const summary = document.createElement("div");
  summary.className = "summary";
  summary.tabIndex = -1;
  summary.setAttribute("role", "alert");
  const title = document.createElement("h2");
  title.textContent = part === form ? texts.problem : texts.step_problem;
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
  (part === form ? byId("main") : part).prepend(summary);
  summary.focus();
  return false;
}

/** A link of the summary leads to the control itself, where typing can begin; its step is told to show it. */
export function followToField(event) {
  const link = event.target.closest(".summary a[href^='#']");
  const target = link && byId(decodeURIComponent(link.hash.slice(1)));
  if (!target) return;
  event.preventDefault();
  target.dispatchEvent(new CustomEvent("wanted", { bubbles: true }));
  const control = target.matches("fieldset") ? target.querySelector("input") : target;
  control.focus();
  target.scrollIntoView({ block: "center" });
}
