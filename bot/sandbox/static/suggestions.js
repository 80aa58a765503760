// What can be typed: commands behind a slash, people and groups behind an @.

import { element } from "./dom.js";

const offered = { slack: [], telegram: [] };

export function offer(pane, commands, mentions) {
  offered[pane] = [...commands, ...mentions];
  show(pane);
}

export function listenTo(pane) {
  document.getElementById(`${pane}-text`).addEventListener("input", () => show(pane));
}

function show(pane) {
  const input = document.getElementById(`${pane}-text`);
  const bar = document.getElementById(`${pane}-suggestions`);
  const found = fitting(offered[pane], input.value);
  const print = JSON.stringify([found, input.value]);
  bar.hidden = !found.length;
  if (bar.dataset.print === print) return;
  bar.dataset.print = print;
  bar.replaceChildren(...found.map((one) => button(pane, input, one)));
}

function button(pane, input, one) {
  const take = () => {
    input.value = `${input.value.slice(0, wordStart(input.value))}${one.text} `;
    input.focus();
    show(pane);
  };
  const note = one.note ? element("span", { class: "faint" }, one.note) : "";
  return element("button", { type: "button", class: "suggestion", on: { click: take } }, one.text, " ", note);
}

// A command stands at the beginning; a name is looked for from the last @ on.
function wordStart(text) {
  return text.startsWith("/") && !text.includes(" ") ? 0 : Math.max(0, text.lastIndexOf("@"));
}

function fitting(things, text) {
  const begun = text.slice(wordStart(text)).toLowerCase();
  const asks = begun.startsWith("@") || (begun.startsWith("/") && begun === text.toLowerCase());
  if (!asks) return [];
  return things.filter((one) => one.text.toLowerCase().startsWith(begun) && one.text.toLowerCase() !== begun).slice(0, 6);
}
