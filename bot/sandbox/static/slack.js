// The Slack pane: messages, blocks, modals and App Home, as the app sent them.

import {
  actionButton, avatar, confirmBox, element, link, openAddress, post, reconcile, time, toast,
} from "./dom.js";
import { drawInput, entered, refill } from "./inputs.js";
import { moment, mrkdwn, withEmoji } from "./mrkdwn.js";

let names = {};
let people = {};
let me = "";

export function drawSlack(state) {
  names = state.names;
  people = Object.fromEntries(state.people.map((person) => [person.id, person.name]));
  me = state.me.id;
  const log = document.getElementById("slack-log");
  document.getElementById("slack-composer").hidden = state.here === "home";
  if (state.here === "home") drawHome(log, state.home);
  else reconcile(log, threaded(state.messages), (message) => drawMessage(message, state.here), emptyWords(state));
  drawModal(state.modal);
}

function emptyWords(state) {
  return `Nothing here for ${state.me.name} yet. Cards appear as soon as they are posted.`;
}

// Replies stand below their parent.
function threaded(messages) {
  const replies = Map.groupBy?.(messages.filter((one) => one.thread), (one) => one.thread) ?? groups(messages);
  return messages
    .filter((one) => !one.thread || !messages.some((other) => other.key === one.thread))
    .map((one) => ({ ...one, replies: replies.get(one.key) ?? [] }));
}

function groups(messages) {
  const found = new Map();
  for (const one of messages) if (one.thread) found.set(one.thread, [...(found.get(one.thread) ?? []), one]);
  return found;
}

function drawMessage(message, channel) {
  const use = (action) => post("/control/slack/tap", { channel, ts: message.key, action, user: me });
  const body = message.blocks.length
    ? message.blocks.map((block) => drawBlock(block, use))
    : [element("p", { class: "text" }, mrkdwn(message.text, names))];
  const replies = (message.replies ?? []).map((reply) => drawMessage(reply, channel));
  return element(
    "article",
    { class: message.only_you ? "message only-you" : "message" },
    avatar(message.from, message.bot),
    element(
      "div",
      { class: "content" },
      element(
        "header",
        {},
        element("strong", {}, message.from),
        message.bot ? element("span", { class: "tag" }, "app") : null,
        time(message.at),
        message.in_channel ? element("span", { class: "faint" }, "also sent to the channel") : null,
        message.edited ? element("span", { class: "faint" }, "edited") : null,
      ),
      message.only_you ? element("p", { class: "private" }, "Only visible to you") : null,
      element("div", { class: "blocks" }, body),
      replies.length ? element("div", { class: "thread", role: "group", "aria-label": "Thread" }, replies) : null,
    ),
  );
}

function drawHome(log, home) {
  const use = (action) => post("/control/slack/tap", { action, user: me });
  const things = home ? [{ key: "home", blocks: home.blocks }] : [];
  const draw = ({ blocks }) => element("div", { class: "blocks home" }, blocks.map((block) => drawBlock(block, use)));
  reconcile(log, things, draw, "The app has published no home view yet.");
}

// Blocks

function drawText(text) {
  if (!text) return [];
  return text.type === "mrkdwn" ? mrkdwn(text.text, names) : [withEmoji(text.text)];
}

function drawBlock(block, use) {
  const draw = BLOCKS[block.type];
  return draw ? draw(block, use) : element("p", { class: "faint" }, `[${block.type}]`);
}

const BLOCKS = {
  header: (block) => element("h3", { class: "heading" }, drawText(block.text)),
  divider: () => element("hr"),
  section: (block, use) =>
    element(
      "div",
      { class: "section" },
      element(
        "div",
        {},
        block.text ? element("p", { class: "text" }, drawText(block.text)) : null,
        block.fields
          ? element("div", { class: "fields" }, block.fields.map((one) => element("p", { class: "text" }, drawText(one))))
          : null,
      ),
      block.accessory ? drawElement(block.accessory, use) : null,
    ),
  context: (block) =>
    element(
      "div",
      { class: "context" },
      block.elements.map((one) => (one.type === "image" ? drawImage(one) : element("span", {}, drawText(one)))),
    ),
  actions: (block, use) =>
    element("div", { class: "actions" }, block.elements.map((one) => drawElement(one, use))),
  image: (block) => drawImage(block),
  markdown: (block) => element("p", { class: "text" }, block.text),
  rich_text: (block) => element("div", {}, (block.elements ?? []).map(drawRich)),
  input: (block) => drawInput(block, {}, people),
};

// The words only: the sandbox fetches nothing from elsewhere.
function drawImage(image) {
  return element("span", { class: "image", role: "img", "aria-label": image.alt_text }, image.alt_text || "image");
}

function drawRich(part) {
  if (part.type === "link") return link(part.url, part.text ?? part.url);
  if (part.type === "user") return element("span", { class: "mention" }, `@${names[part.user_id] ?? part.user_id}`);
  if (part.type === "usergroup") {
    return element("span", { class: "mention" }, `@${names[part.usergroup_id] ?? part.usergroup_id}`);
  }
  if (part.type === "date") {
    const shown = moment(part.timestamp, part.format, part.fallback, part.url);
    return part.style?.bold ? element("strong", {}, shown) : shown;
  }
  if (part.type === "emoji") return withEmoji(`:${part.name}:`);
  if (part.type === "text") {
    const style = part.style ?? {};
    const name = style.code ? "code" : style.bold ? "strong" : style.italic ? "em" : style.strike ? "s" : "span";
    return element(name, {}, part.text);
  }
  const tags = { rich_text_preformatted: "pre", rich_text_quote: "blockquote", rich_text_list: "ul" };
  const children = (part.elements ?? []).map(drawRich);
  const wrapped = part.type === "rich_text_list" ? children.map((child) => element("li", {}, child)) : children;
  return element(tags[part.type] ?? "p", { class: "text" }, wrapped);
}

function drawElement(one, use) {
  if (one.type === "image") return drawImage(one);
  if (one.options) return drawMenu(one, use);
  if (one.type !== "button") return element("span", { class: "faint" }, `[${one.type}]`);
  const look = one.style === "primary" ? "primary" : one.style === "danger" ? "danger" : "";
  const title = one.url ? `Opens ${one.url}` : undefined;
  const label = one.accessibility_label;
  return actionButton(withEmoji(one.text.text), { class: look, title, "aria-label": label }, async () => {
    if (one.confirm && !(await agreed(one.confirm))) return;
    if (one.url) openAddress(one.url);
    report(await use(one.action_id));
  });
}

function agreed(confirm) {
  const words = (part) => part?.text ?? "";
  return confirmBox({
    title: words(confirm.title),
    text: words(confirm.text),
    confirm: words(confirm.confirm) || "Yes",
    deny: words(confirm.deny) || "No",
  });
}

function drawMenu(one, use) {
  const choose = (value) => element("option", { value: value.value }, value.text.text);
  const menu = element("select", { "aria-label": one.placeholder?.text ?? "More" });
  menu.append(element("option", { value: "" }, one.placeholder?.text ?? "…"), ...one.options.map(choose));
  menu.addEventListener("change", async () => {
    if (menu.value) report(await use(menu.value));
    menu.value = "";
  });
  return menu;
}

export function report(answer) {
  if (answer.error) toast(answer.error, "bad");
}

// Modals

function drawModal(view) {
  const dialog = document.getElementById("modal");
  if (!view) {
    if (dialog.open) dialog.close();
    dialog.dataset.print = dialog.dataset.view = "";
    return;
  }
  const print = JSON.stringify(view);
  if (dialog.dataset.print === print) return;
  const again = dialog.dataset.view === view.id ? entered(dialog.querySelector("form")) : {};
  dialog.dataset.print = print;
  dialog.dataset.view = view.id;
  const close = () => post("/control/slack/close", { user: me });
  const form = element("form", { autocomplete: "off" });
  const use = (action) => post("/control/slack/tap", { action, user: me, values: entered(form) });
  const draw = (block) => (block.type === "input" ? drawInput(block, view.errors, people) : drawBlock(block, use));
  const cancel = view.close?.text ?? (view.depth > 1 ? "Back" : view.submit ? "Cancel" : "Close");
  form.append(
    element("h2", { id: "modal-title" }, view.title.text),
    element("div", { class: "blocks" }, view.blocks.map(draw)),
    element(
      "footer",
      {},
      element("button", { type: "button", on: { click: close } }, cancel),
      view.submit ? element("button", { type: "submit", class: "primary" }, view.submit.text) : null,
    ),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const submit = form.querySelector("[type=submit]");
    if (submit.getAttribute("aria-busy")) return;
    submit.setAttribute("aria-busy", "true");
    report(await post("/control/slack/submit", { user: me, values: entered(form) }));
    submit.removeAttribute("aria-busy");
  });
  refill(form, { ...view.typed, ...again });
  dialog.oncancel = (event) => {
    event.preventDefault();
    close();
  };
  dialog.replaceChildren(form);
  if (!dialog.open) dialog.showModal();
  const first = form.querySelector("[aria-invalid]") ?? form.querySelector(".input :is(input, select, textarea)");
  (first ?? form.querySelector("footer button:last-child")).focus();
}
