// The Telegram pane: text with its entities and inline keyboards, as the bot sent them.

import { actionButton, avatar, element, link, post, reconcile, time, toast } from "./dom.js";
import { follow, openTarget } from "./mini_app.js";

let me = "";
let replyTo = null;

export function drawTelegram(state) {
  me = state.me.id;
  const log = document.getElementById("telegram-log");
  const words = `Nothing here for ${state.me.name} yet. Cards appear as soon as they are sent.`;
  reconcile(log, state.messages, (message) => drawMessage(message, state), words);
  const menu = document.getElementById("telegram-menu");
  menu.hidden = !state.menu;
  menu.textContent = state.menu;
  const asked = state.messages.findLast((message) => message.wants_reply);
  const place = asked ? `${state.here} ${me} ${asked.key}` : "";
  if (asked && place !== log.dataset.asked) {
    log.dataset.asked = place;
    setReply(asked);
  } else if (replyTo && !state.messages.some((message) => message.key === replyTo.key)) {
    setReply(null);
  }
}

export function takeReply() {
  const taken = replyTo;
  setReply(null);
  return taken ? { reply_to: taken.key, thread: taken.topic } : {};
}

export function setReply(message) {
  replyTo = message;
  const bar = document.getElementById("telegram-replying");
  const log = document.getElementById("telegram-log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  bar.hidden = !message;
  if (atEnd) log.scrollTop = log.scrollHeight;
  document.getElementById("telegram-text").placeholder = message?.placeholder || "Message or /inbox";
  if (message) {
    bar.querySelector("span").textContent = `Replying to ${message.from}: ${message.text.slice(0, 80)}`;
    // Nobody who types elsewhere is interrupted.
    const typing = document.activeElement?.closest("dialog, .slack");
    if (!typing) document.getElementById("telegram-text").focus({ preventScroll: true });
  }
}

function drawMessage(message, state) {
  if (message.service) return element("p", { class: "service" }, message.text);
  const mine = message.sender === state.me.id;
  const topic = state.topics[message.topic];
  return element(
    "article",
    { class: `bubble-row ${mine ? "mine" : ""}` },
    mine ? null : avatar(message.from, message.bot),
    element(
      "div",
      { class: "bubble-column" },
      element(
        "div",
        { class: "bubble" },
        element("header", {}, element("strong", {}, message.from), topic ? element("span", { class: "tag" }, topic) : null),
        message.reply
          ? element(
              "p",
              { class: "reply" },
              element("strong", {}, message.reply.from),
              element("span", {}, message.reply.text.slice(0, 120)),
            )
          : null,
        element("p", { class: "text" }, drawEntities(message.text, message.entities)),
        element(
          "footer",
          {},
          message.bot
            ? element("button", { type: "button", class: "quiet", on: { click: () => setReply(message) } }, "Reply")
            : null,
          message.edited ? element("span", { class: "faint" }, "edited") : null,
          time(message.at),
        ),
      ),
      drawKeyboard(message, state.here),
    ),
  );
}

function drawKeyboard(message, chat) {
  if (!message.keyboard.length) return null;
  const rows = message.keyboard.map((row) =>
    element("div", { class: "row" }, row.map((button) => drawButton(button, message, chat))),
  );
  return element("div", { class: "keyboard", role: "group", "aria-label": "Buttons" }, rows);
}

function drawButton(button, message, chat) {
  const opens = button.url ?? button.web_app?.url;
  const words = opens ? `${button.text} ↗` : button.text;
  return actionButton(words, { title: opens ? `Opens ${opens}` : undefined }, async () => {
    const action = button.callback_data ?? button.text;
    const answer = await post("/control/telegram/tap", { chat, message: message.key, action, user: me, wait: opens ? 0 : 15 });
    if (answer.error) toast(answer.error, "bad");
    else if (answer.url?.startsWith("https://t.me/")) follow(answer.url, me, chat);
    else openTarget(answer);
  });
}

// Blocks stand on lines of their own, so the line breaks around them are not shown again.
const BLOCKS = new Set(["pre", "blockquote", "expandable_blockquote"]);

// Entities nest; offsets are UTF-16 units, which is what JavaScript counts in.
function drawEntities(text, entities, from = 0, to = text.length) {
  const drawn = [];
  let at = from;
  for (let index = 0; index < entities.length; index += 1) {
    const entity = entities[index];
    const end = entity.offset + entity.length;
    if (entity.offset < at || end > to) continue;
    const block = BLOCKS.has(entity.type);
    const before = text.slice(at, entity.offset);
    drawn.push(block ? before.replace(/\n$/, "") : before);
    const inner = entities.filter((other, place) => place > index && other.offset >= entity.offset && other.offset + other.length <= end);
    drawn.push(drawEntity(entity, text.slice(entity.offset, end), drawEntities(text, inner, entity.offset, end)));
    at = block && end < to && text[end] === "\n" ? end + 1 : end;
  }
  if (at < to) drawn.push(text.slice(at, to));
  return drawn;
}

const TAGS = {
  bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", pre: "pre",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};

function drawEntity(entity, words, inner) {
  if (entity.type === "text_link") return linkTo(entity.url, inner);
  if (entity.type === "url") return linkTo(words, inner);
  if (entity.type === "date_time") return moment(entity, words, inner);
  if (entity.type === "spoiler") return element("span", { class: "spoiler", tabindex: "0" }, inner);
  if (TAGS[entity.type]) return element(TAGS[entity.type], {}, inner);
  return element("span", { class: "mention" }, inner);
}

const PARTS = {
  w: { weekday: "short" },
  d: { year: "2-digit", month: "2-digit", day: "2-digit" },
  D: { year: "numeric", month: "long", day: "numeric" },
  t: { hour: "2-digit", minute: "2-digit" },
  T: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
};

// A time by the clocks of whoever looks; without a format it keeps its words.
function moment(entity, words, inner) {
  const at = new Date(entity.unix_time * 1000);
  const parts = Object.assign({}, ...[...entity.date_time_format].map((one) => PARTS[one]));
  const shown = Object.keys(parts).length ? at.toLocaleString([], parts) : inner;
  return element("time", { datetime: at.toISOString(), title: words }, shown);
}

function linkTo(url, inner) {
  if (!url.startsWith("https://t.me/")) return link(url, ...inner);
  const open = (event) => {
    event.preventDefault();
    follow(url, me, document.getElementById("telegram-place").value);
  };
  return element("a", { href: url, on: { click: open } }, inner);
}
