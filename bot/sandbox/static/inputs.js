// The inputs of Slack's modals and App Home: drawn, read, and filled again when the view is redrawn.

import { element } from "./dom.js";
import { withEmoji } from "./mrkdwn.js";

const NATIVE = {
  datepicker: "date", timepicker: "time", number_input: "number", email_text_input: "email", url_text_input: "url",
};

// `people`: who can be chosen where people are asked for, by id. `errors`: by block id.
export function drawInput(block, errors, people) {
  const id = `input-${block.block_id}`;
  const wrong = errors[block.block_id];
  const described = wrong ? `${id}-wrong` : block.hint ? `${id}-hint` : undefined;
  const common = { id, name: block.block_id, required: !block.optional, "aria-describedby": described };
  if (wrong) common["aria-invalid"] = "true";
  const label = withEmoji(block.label.text) + (block.optional ? " (optional)" : "");
  const many = ["radio_buttons", "checkboxes"].includes(block.element.type);
  return element(
    "div",
    { class: "input" },
    many
      ? drawChoices(block, label, common)
      : [element("label", { for: id }, label), drawField(block.element, common, people)],
    block.hint ? element("p", { class: "faint", id: `${id}-hint` }, block.hint.text) : null,
    wrong ? element("p", { class: "wrong", id: `${id}-wrong`, role: "alert" }, wrong) : null,
  );
}

function drawField(field, common, people) {
  const asksForPeople = field.type.endsWith("users_select");
  if (field.options || asksForPeople) {
    const options = asksForPeople
      ? Object.entries(people).map(([value, text]) => ({ value, text: { text } }))
      : field.options;
    const chosen = [field.initial_option?.value, field.initial_user, ...(field.initial_options ?? []).map((one) => one.value)];
    const multiple = field.type.startsWith("multi_");
    const drawn = options.map((one) =>
      element("option", { value: one.value, selected: chosen.includes(one.value) }, one.text.text),
    );
    const none = multiple ? null : element("option", { value: "" }, field.placeholder?.text ?? "Choose …");
    return element("select", { ...common, multiple }, none, drawn);
  }
  const more = { maxlength: field.max_length, minlength: field.min_length, placeholder: field.placeholder?.text };
  if (field.multiline) return element("textarea", { ...common, ...more, rows: 4 }, field.initial_value ?? "");
  const value = field.initial_value ?? field.initial_date ?? field.initial_time;
  return element("input", { ...common, ...more, type: NATIVE[field.type] ?? "text", value });
}

function drawChoices(block, label, common) {
  const field = block.element;
  const type = field.type === "checkboxes" ? "checkbox" : "radio";
  const chosen = [field.initial_option?.value, ...(field.initial_options ?? []).map((one) => one.value)];
  const choices = field.options.map((one) =>
    element(
      "label",
      { class: "choice" },
      element("input", {
        type, name: common.name, value: one.value, checked: chosen.includes(one.value),
        required: common.required && type === "radio", "aria-describedby": common["aria-describedby"],
      }),
      element("span", {}, withEmoji(one.text.text), one.description ? element("small", {}, one.description.text) : ""),
    ),
  );
  return element("fieldset", {}, element("legend", {}, label), choices);
}

// What stands in a form's inputs: text, or a list where several can be chosen.
export function entered(form) {
  const values = {};
  for (const [name, value] of new FormData(form)) {
    const several = form.querySelector(`[name="${CSS.escape(name)}"]:is([type=checkbox], select[multiple])`);
    if (several) values[name] = [...(values[name] ?? []), value];
    else if (value) values[name] = value;
  }
  return values;
}

// Put back what was entered before the view was drawn again.
export function refill(form, values) {
  for (const field of form.elements) {
    if (!field.name || !(field.name in values)) continue;
    const wanted = [values[field.name]].flat();
    if (field.type === "radio" || field.type === "checkbox") field.checked = wanted.includes(field.value);
    else if (field.multiple) for (const one of field.options) one.selected = wanted.includes(one.value);
    else field.value = wanted[0] ?? "";
  }
}
