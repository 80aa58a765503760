// Mini Apps: in a frame over the page where the app lets itself be framed, else in a window of its own, as Telegram's
// desktop app shows them.

import { element, openAddress, post, toast } from "./dom.js";

// Open what a tap or a link leads to.
export function openTarget(answer) {
  if (!answer.url) return;
  if (answer.framed) openFrame(answer.url);
  else openAddress(answer.url);
}

// A link in a message: those to the bot itself stay here.
export async function follow(url, user, chat) {
  const answer = await post("/control/telegram/follow", { url, user, chat });
  if (answer.error) toast(answer.error, "bad");
  else if (answer.url !== url || !url.startsWith("https://t.me/")) openTarget(answer);
}

function openFrame(url) {
  const dialog = document.getElementById("mini-app");
  const close = () => dialog.close();
  const outside = () => {
    close();
    openAddress(url);
  };
  dialog.replaceChildren(
    element(
      "header",
      {},
      element("h2", { id: "mini-app-title" }, "Mini App"),
      element("button", { type: "button", class: "quiet", on: { click: outside } }, "Open in a window"),
      element("button", { type: "button", on: { click: close } }, "Close"),
    ),
    element("iframe", { src: url, title: "Mini App", sandbox: "allow-scripts allow-same-origin allow-forms allow-popups" }),
  );
  dialog.onclose = () => dialog.replaceChildren();
  dialog.showModal();
}

// What a Mini App says to Telegram's web app: https://core.telegram.org/api/web-events
window.addEventListener("message", (event) => {
  const dialog = document.getElementById("mini-app");
  if (event.source !== dialog.querySelector("iframe")?.contentWindow) return;
  try {
    if (JSON.parse(event.data).eventType === "web_app_close") dialog.close();
  } catch {
    // Not meant for Telegram.
  }
});
