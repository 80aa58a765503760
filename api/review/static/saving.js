// What is typed is kept on the server until it is sent, so that a reload or another device goes on from there.

import { SEND_AT_MOST, post, texts, token } from "./common.js";
import { bodyOf, fill } from "./fields.js";

const PAUSE = 1_000; // after the last key
const AGAIN = 5_000;
const AGAIN_AT_MOST = 60_000;
const KEPT_ALIVE = 60_000; // browsers send 64 KiB on behalf of a page that is gone

export class Saving {
  constructor(form, url) {
    this.form = form;
    this.url = url;
    this.note = form.querySelector("[data-saved]");
    this.changed = false;
    this.sending = false;
    this.over = false;
    this.wait = AGAIN;
    this.leaving = ({ type }) => {
      if (type === "beforeunload" || document.visibilityState === "hidden") this.save({ leaving: true });
    };
    this.typed = (event) => { if (event.target.form === form) this.later(PAUSE); };
    document.addEventListener("input", this.typed); // what belongs to a form need not stand within it
    form.addEventListener("step", () => { this.changed = true; this.save(); });
    document.addEventListener("visibilitychange", this.leaving);
    window.addEventListener("beforeunload", this.leaving); // a reload asks for the page only after this
    window.addEventListener("pagehide", this.leaving);
  }

  /** Nothing is kept from here on. */
  stop() {
    this.over = true;
    clearTimeout(this.timer);
    document.removeEventListener("input", this.typed);
    document.removeEventListener("visibilitychange", this.leaving);
    window.removeEventListener("beforeunload", this.leaving);
    window.removeEventListener("pagehide", this.leaving);
  }

  /** While an answer is on its way there is nothing to keep; if it does not arrive, there is again. */
  pause(on) {
    this.paused = on;
    clearTimeout(this.timer);
    if (!on && this.changed) this.later(PAUSE);
  }

  later(pause) {
    this.changed = true;
    clearTimeout(this.timer);
    if (!this.over && !this.paused) this.timer = setTimeout(() => this.save(), pause);
  }

  /** One after the other, but for a page that is being left: it has no later. */
  async save({ leaving = false } = {}) {
    clearTimeout(this.timer);
    if (!this.changed || (this.sending && !leaving) || this.over || this.paused || !this.form.isConnected) return;
    this.changed = false;
    this.sending = true;
    const body = bodyOf(this.form);
    try {
      const answer = await fetch(this.url, {
        method: "POST", body, signal: AbortSignal.timeout(SEND_AT_MOST), referrerPolicy: "no-referrer",
        keepalive: body.toString().length < KEPT_ALIVE,
      });
      if ([403, 409, 410].includes(answer.status)) this.stop(); // it can no longer be answered; the page says so itself
      else if (answer.status === 413) this.say(texts.too_long_to_keep);
      else if (!answer.ok) throw new Error(answer.status);
      else this.kept();
    } catch {
      this.say(texts.not_kept);
      this.changed = true;
      this.later(this.wait);
      this.wait = Math.min(AGAIN_AT_MOST, this.wait * 2);
    } finally {
      this.sending = false;
    }
    if (this.changed && this.wait === AGAIN) this.later(PAUSE);
  }

  kept() {
    this.wait = AGAIN;
    this.say(texts.kept);
  }

  say(words) {
    this.note.textContent = words;
    this.note.hidden = false;
  }
}

/** Asks once for the values that others hold for this form; a field whose value does not come stays empty. */
export async function prefill(form, url) {
  if (!form.querySelector("[data-fetching]")) return;
  const names = [...form.querySelectorAll("[data-fetching]")].map((place) => `f.${place.closest(".field").dataset.key}`);
  let found = { values: {}, kept: [], failed: names };
  try {
    const answer = await post(url, { token });
    if (answer.ok) found = await answer.json();
  } catch {
    // said beside the fields
  }
  if (form.isConnected) fill(form, found);
}
