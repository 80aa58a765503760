// Slack's mrkdwn as elements: a fixed list of what is known, everything else stays text.

import { element, link } from "./dom.js";

const EMOJI = {
  white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", no_entry: "⛔", no_entry_sign: "🚫", warning: "⚠️",
  hourglass: "⌛", hourglass_flowing_sand: "⏳", alarm_clock: "⏰", bell: "🔔", lock: "🔒", eyes: "👀", robot_face: "🤖",
  red_circle: "🔴", large_orange_circle: "🟠", large_yellow_circle: "🟡", large_green_circle: "🟢", white_circle: "⚪",
  rocket: "🚀", memo: "📝", link: "🔗", page_facing_up: "📄", speech_balloon: "💬", zzz: "💤", arrow_up: "⬆️", wave: "👋",
  rotating_light: "🚨", information_source: "ℹ️", mag: "🔍", calendar: "📅", raised_hand: "✋", thumbsup: "👍",
};
const NAMED = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };
const INLINE =
  /```([\s\S]+?)```|`([^`\n]+)`|<([^<>\n]+)>|(?<![\w*])\*(?=\S)([^*\n]*[^\s*])\*(?![\w*])|(?<![\w_])_(?=\S)([^_\n]*[^\s_])_(?![\w_])|(?<![\w~])~(?=\S)([^~\n]*[^\s~])~(?![\w~])|:([a-z0-9_+-]+):/;

export function withEmoji(text) {
  return text.replace(/:([a-z0-9_+-]+):/g, (whole, name) => EMOJI[name] ?? whole);
}

function decoded(text) {
  return text.replace(/&(lt|gt|amp);/g, (named) => NAMED[named]);
}

export function mrkdwn(text, names) {
  const parts = text.split(/(```[\s\S]+?```)/);
  return parts.flatMap((part) => {
    if (part.startsWith("```") && part.length > 6) {
      return [element("pre", {}, decoded(part.slice(3, -3).replace(/^\n|\n$/g, "")))];
    }
    return lines(part, names);
  });
}

function lines(text, names) {
  const drawn = [];
  let quote = null;
  text.split("\n").forEach((line, index, all) => {
    const quoted = /^(?:&gt;|>)\s?/.exec(line);
    if (quoted) {
      if (quote) quote.append(element("br"));
      else drawn.push((quote = element("blockquote")));
      quote.append(...inline(line.slice(quoted[0].length), names));
      return;
    }
    if (index > 0 && !quote) drawn.push(element("br"));
    quote = null;
    if (line || index < all.length - 1) drawn.push(...inline(line, names));
  });
  return drawn;
}

function inline(text, names) {
  const drawn = [];
  let rest = text;
  while (rest) {
    const found = INLINE.exec(rest);
    if (!found) break;
    if (found.index) drawn.push(decoded(rest.slice(0, found.index)));
    const [whole, block, code, reference, bold, italic, struck, emoji] = found;
    if (block !== undefined) drawn.push(element("pre", {}, decoded(block)));
    else if (code !== undefined) drawn.push(element("code", {}, decoded(code)));
    else if (reference !== undefined) drawn.push(referred(reference, names));
    else if (bold !== undefined) drawn.push(element("strong", {}, inline(bold, names)));
    else if (italic !== undefined) drawn.push(element("em", {}, inline(italic, names)));
    else if (struck !== undefined) drawn.push(element("s", {}, inline(struck, names)));
    else drawn.push(EMOJI[emoji] ?? whole);
    rest = rest.slice(found.index + whole.length);
  }
  if (rest) drawn.push(decoded(rest));
  return drawn;
}

// What stands between angle brackets: a person, a channel, a group, a date, a call to everybody, or a link.
function referred(reference, names) {
  const [target, ...words] = reference.split("|");
  const label = decoded(words.join("|"));
  const mention = (shown) => element("span", { class: "mention" }, shown);
  if (target.startsWith("@")) return mention(`@${names[target.slice(1)] ?? (label || target.slice(1))}`);
  if (target.startsWith("#")) return mention(`#${names[target.slice(1)] ?? (label || target.slice(1))}`);
  if (target.startsWith("!subteam^")) return mention(`@${names[target.slice(9)] ?? (label || "group")}`);
  if (target.startsWith("!date^")) return date(target, label);
  if (target.startsWith("!")) return mention(`@${target.slice(1)}`);
  return link(decoded(target), label || decoded(target));
}

function date(target, fallback) {
  const [, seconds, format, url] = target.split("^");
  return moment(Number(seconds), decoded(format ?? "{date} {time}"), fallback, url);
}

const MONTH = { year: "numeric", month: "short", day: "numeric" };
const LONG = { weekday: "long", year: "numeric", month: "long", day: "numeric" };
const TOKENS = {
  date_num: (at) => at.toLocaleDateString("sv"),
  date_slash: (at) => at.toLocaleDateString(),
  date: (at) => at.toLocaleDateString([], { ...LONG, weekday: undefined }),
  date_short: (at) => at.toLocaleDateString([], MONTH),
  date_long: (at) => at.toLocaleDateString([], LONG),
  date_long_full: (at) => at.toLocaleDateString([], { ...LONG, weekday: undefined }),
  time: (at) => at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }),
  time_secs: (at) => at.toLocaleTimeString(),
};

// A time by the clocks of whoever looks, as Slack shows it: its first letter is large.
export function moment(seconds, format, fallback, url) {
  const at = new Date(seconds * 1000);
  if (Number.isNaN(at.getTime())) return element("span", {}, fallback);
  const words = format.replace(/\{(\w+)\}/g, (whole, token) => {
    const named = token.replace(/_pretty$/, "");
    return (named !== token && nearby(at)) || (TOKENS[named]?.(at) ?? whole);
  });
  const shown = words.charAt(0).toUpperCase() + words.slice(1);
  const made = element("time", { datetime: at.toISOString(), title: fallback }, shown);
  return url ? link(url, made) : made;
}

// "today", "tomorrow" or "yesterday", in the language of whoever looks.
function nearby(at) {
  const midnight = (one) => Date.UTC(one.getFullYear(), one.getMonth(), one.getDate());
  const days = Math.round((midnight(at) - midnight(new Date())) / 86400000);
  return Math.abs(days) < 2 ? new Intl.RelativeTimeFormat([], { numeric: "auto" }).format(days, "day") : "";
}
