// The fields of a form: what they hold, which of them are asked for, and what makes them easier to fill in.

import { reader, say, texts, words } from "./common.js";

const UNKNOWN = Symbol("kept on the server, and not told to the page");
const CLEAR = "clear.";

export const fieldsOf = (root) => [...root.querySelectorAll(".field[data-key]")];

export function controlsOf(field) {
  return [...field.querySelectorAll("input[name], select[name], textarea[name]")].filter(
    (control) => !control.name.startsWith(CLEAR),
  );
}

const removal = (field) => field.querySelector(`input[name^="${CLEAR}"]`);

/** Whether the server keeps a value of this field that an empty control stands for. */
export function isKept(field) {
  return "kept" in field.dataset && !("touched" in field.dataset) && !removal(field)?.checked;
}

/** The field's value as the server would keep it; undefined for none. */
export function valueOf(field) {
  const controls = controlsOf(field);
  const checked = controls.filter((control) => control.checked).map((control) => control.value);
  switch (field.dataset.control) {
    case "checkbox": return checked.length > 0;
    case "yes_no": return checked.length ? checked[0] === "true" : undefined;
    case "checkboxes": return checked.length ? checked : undefined;
    default: {
      const exact = field.dataset.control === "textarea" || "sensitive" in field.dataset;
      const text = exact ? controls[0].value : controls[0].value.trim();
      if (text === "") return undefined;
      return "number" in field.dataset ? Number(text) : text;
    }
  }
}

export const isFilled = (field) => isKept(field) || valueOf(field) !== undefined;

// --- conditions: the server has the same rule (core.forms.visible) --------------------------------------------------

const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);

/** Negative, zero or positive; undefined for what cannot be compared. Texts by their code points, as the server does. */
function compared(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (typeof one !== "string" || typeof other !== "string") return undefined;
  const [left, right] = [[...one], [...other]].map((text) => text.map((character) => character.codePointAt(0)));
  const at = left.findIndex((point, n) => point !== right[n]);
  return at < 0 || right[at] === undefined ? left.length - right.length : left[at] - right[at];
}

export function holds({ operator, value: wanted }, value) {
  switch (operator) {
    case "eq": return same(value, wanted);
    case "neq": return !same(value, wanted);
    case "in": return wanted.some((one) => same(value, one));
    case "gt": return compared(value, wanted) > 0;
    case "lt": return compared(value, wanted) < 0;
    default: return true;
  }
}

/** Shows and hides conditional fields; a hidden one is neither asked for nor sent. Says which ones have appeared. */
export function applyConditions(form, { silently = false } = {}) {
  const values = {};
  const appeared = [];
  for (const field of fieldsOf(form)) {
    const condition = field.dataset.when ? JSON.parse(field.dataset.when) : null;
    const unknown = condition !== null && values[condition.field] === UNKNOWN;
    const shown = condition === null || unknown || holds(condition, values[condition.field]);
    if (shown && field.hidden && !field.closest(".step[hidden]")) appeared.push(labelOf(field));
    field.hidden = !shown;
    for (const control of [...controlsOf(field), removal(field)].filter(Boolean)) {
      control.disabled = !shown;
      if ("required" in control.dataset) control.required = shown && !unknown && !isKept(field);
    }
    const when = field.querySelector(".when");
    if (when) when.hidden = !unknown;
    if (shown) values[field.dataset.key] = isKept(field) ? UNKNOWN : valueOf(field);
  }
  if (appeared.length && !silently) say(words(texts.now_asked, appeared.join(", ")));
}

// --- what is sent ---------------------------------------------------------------------------------------------------

/** What the form would post. A sensitive field that was emptied here says so: empty alone means as it is kept. */
export function bodyOf(form) {
  const body = new URLSearchParams(new FormData(form));
  if (form.dataset.step) body.set("step", form.dataset.step);
  for (const field of fieldsOf(form)) {
    const emptied = "sensitive" in field.dataset && "touched" in field.dataset && !valueOf(field);
    if (emptied && !field.hidden) body.set(CLEAR + field.dataset.key, "1");
  }
  return body;
}

/** The server keeps a value for this field from now on. */
export function markKept(field) {
  field.dataset.kept = "";
  for (const control of controlsOf(field).filter((one) => one.required)) control.dataset.required = "";
  field.querySelector("[data-kept-note]").hidden = false;
  field.querySelector("[data-unkept-note]").hidden = true;
}

function markTouched(field) {
  if ("touched" in field.dataset) return;
  field.dataset.touched = "";
  if (!("kept" in field.dataset)) return;
  field.querySelector("[data-kept-note]").hidden = true;
  field.querySelector("[data-unkept-note]").hidden = false;
}

// --- in words -------------------------------------------------------------------------------------------------------

export function labelOf(field) {
  return field.querySelector("legend, label").firstChild.textContent.trim();
}

/** What was answered, as people read it. */
export function answerOf(field) {
  const value = valueOf(field);
  if ("sensitive" in field.dataset) return isFilled(field) && value !== false ? texts.hidden : texts.nothing;
  if (value === undefined) return texts.nothing;
  const chosen = controlsOf(field).filter((control) => control.checked);
  switch (field.dataset.control) {
    case "checkbox": return value ? texts.yes : texts.no;
    case "yes_no": case "checkboxes": return chosen.map((one) => one.labels[0].textContent.trim()).join(", ");
    case "select": return controlsOf(field)[0].selectedOptions[0].textContent.trim();
    default: break;
  }
  if (controlsOf(field)[0].type === "date") {
    return new Intl.DateTimeFormat(reader, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(value));
  }
  return typeof value === "number" ? controlsOf(field)[0].value : value;
}

// --- what a script adds ---------------------------------------------------------------------------------------------

function addSlider(input) {
  const slider = document.createElement("input");
  const whole = Number.isInteger(Number(input.min)) && Number.isInteger(Number(input.max));
  Object.assign(slider, { type: "range", min: input.min, max: input.max, step: whole ? "1" : "any" });
  slider.value = input.value === "" ? input.min : input.value;
  slider.setAttribute("aria-label", words(texts.slider, labelOf(input.closest(".field"))));
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
  const [label] = input.labels;
  label.id = `${input.id}-label`;
  button.setAttribute("aria-describedby", label.id);
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

/** Within a group of choices the keys 1 to 9 press its first nine. */
function pressByNumber(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !/^[1-9]$/.test(event.key)) return;
  if (!event.target.matches("input[type=radio], input[type=checkbox]")) return;
  const group = event.target.closest("fieldset");
  const input = group?.querySelectorAll("input[type=radio], input[type=checkbox]")[Number(event.key) - 1];
  if (!input || input.disabled) return;
  event.preventDefault();
  input.focus();
  input.click();
}

/** Makes the form's fields ready for whoever has a script. */
export function furnish(form) {
  for (const one of form.querySelectorAll(".unscripted")) one.remove();
  for (const input of form.querySelectorAll("[data-slider]")) addSlider(input);
  for (const input of form.querySelectorAll("input[data-sensitive]")) addReveal(input);
  form.addEventListener("keydown", pressByNumber);
  form.addEventListener("input", (event) => {
    const field = event.target.closest(".field[data-sensitive]");
    if (field && !event.target.name?.startsWith(CLEAR)) markTouched(field);
    applyConditions(form);
  });
  applyConditions(form, { silently: true });
}

/** Puts fetched values where nobody has written yet. */
export function fill(form, { values, kept, failed }) {
  for (const field of fieldsOf(form)) {
    const name = `f.${field.dataset.key}`;
    const place = field.querySelector("[data-fetching]");
    if (place) place.hidden = !failed.includes(name);
    if (place && failed.includes(name)) place.textContent = texts.not_fetched;
    if (kept.includes(name) && !("touched" in field.dataset)) markKept(field);
    if (!(name in values) || "touched" in field.dataset) continue;
    const controls = controlsOf(field);
    if (controls.some((one) => (one.matches("[type=radio], [type=checkbox]") ? one.checked : one.value !== ""))) continue;
    for (const control of controls) {
      if (control.matches("[type=radio], [type=checkbox]")) control.checked = values[name].includes(control.value);
      else [control.value] = values[name];
    }
    controls[0].dispatchEvent(new Event("input", { bubbles: true }));
  }
  applyConditions(form);
}
