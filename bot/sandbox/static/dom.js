// Building elements from data. Text only ever becomes text: nothing here parses markup.

export function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") made.className = value;
    else if (key === "on") for (const [event, listen] of Object.entries(value)) made.addEventListener(event, listen);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

// A link to the web, or only its words when the address is of any other kind.
export function link(address, ...words) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return element("span", {}, ...words);
  }
  if (!["http:", "https:", "mailto:"].includes(url.protocol)) return element("span", {}, ...words);
  return element("a", { href: url.href, target: "_blank", rel: "noopener noreferrer" }, ...words);
}

export function openAddress(address) {
  const made = link(address, "");
  if (made.href) window.open(made.href, "_blank", "noopener,noreferrer");
}

export function time(seconds) {
  const at = new Date(seconds * 1000);
  const words = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return element("time", { datetime: at.toISOString(), title: at.toLocaleString() }, words);
}

export function avatar(name, bot) {
  const initials = name.split(/\s+/).map((word) => word[0]).join("").slice(0, 2).toUpperCase();
  const hue = [...name].reduce((sum, character) => sum + character.codePointAt(0), 0) % 6;
  return element("span", { class: `avatar hue-${bot ? "bot" : hue}`, "aria-hidden": "true" }, initials);
}

// Bring a list of keyed things on screen, touching only what changed, so that focus and reading place stay.
export function reconcile(parent, things, draw, whenEmpty) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const atEnd = parent.scrollHeight - parent.scrollTop - parent.clientHeight < 60;
  let previous = null;
  let added = false;
  for (const thing of things) {
    const print = JSON.stringify(thing);
    let child = known.get(thing.key);
    known.delete(thing.key);
    if (!child || child.dataset.print !== print) {
      const drawn = draw(thing);
      drawn.dataset.key = thing.key;
      drawn.dataset.print = print;
      if (child) child.replaceWith(drawn);
      else added = true;
      child = drawn;
    }
    const place = previous ? previous.nextSibling : parent.firstChild;
    if (place !== child) parent.insertBefore(child, place);
    previous = child;
  }
  for (const gone of known.values()) gone.remove();
  if (!things.length) parent.replaceChildren(element("p", { class: "empty" }, whenEmpty));
  if (added && atEnd) parent.scrollTop = parent.scrollHeight;
}

export async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    return await answer.json();
  } catch {
    return { error: "The sandbox does not answer. Is it still running?" };
  }
}

// A button that cannot be pressed again while its work is under way.
export function actionButton(words, options, work) {
  const made = element("button", { type: "button", ...options }, words);
  made.addEventListener("click", async () => {
    if (made.getAttribute("aria-busy")) return;
    made.setAttribute("aria-busy", "true");
    try {
      await work(made);
    } finally {
      made.removeAttribute("aria-busy");
    }
  });
  return made;
}

export function toast(words, kind = "") {
  const made = element("p", { class: `toast ${kind}` }, words);
  const region = document.getElementById("toasts");
  region.append(made);
  while (region.children.length > 4) region.firstChild.remove();
  setTimeout(() => made.remove(), 6000);
}

export function alertBox(words, title = "Telegram") {
  const dialog = document.getElementById("alert");
  const close = element("button", { type: "button", class: "primary", on: { click: () => dialog.close() } }, "OK");
  dialog.replaceChildren(
    element("p", { id: "alert-text" }, words),
    element("footer", {}, close),
  );
  dialog.setAttribute("aria-label", title);
  if (!dialog.open) dialog.showModal();
}

// Ask before something is sent; gives true when the person agrees.
export function confirmBox({ title, text, confirm, deny }) {
  const dialog = document.getElementById("alert");
  return new Promise((decided) => {
    const answer = (agreed) => () => {
      dialog.close();
      decided(agreed);
    };
    dialog.replaceChildren(
      element("h3", {}, title),
      element("p", { id: "alert-text" }, text),
      element(
        "footer",
        {},
        element("button", { type: "button", on: { click: answer(false) } }, deny),
        element("button", { type: "button", class: "primary", on: { click: answer(true) } }, confirm),
      ),
    );
    dialog.addEventListener("cancel", () => decided(false), { once: true });
    dialog.showModal();
  });
}
