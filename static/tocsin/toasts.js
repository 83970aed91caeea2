// Toasts: at most three, newest last, then "+N more". They wait while hovered or focused.

const STAY_MS = 8000;
const MOST = 3;
const place = document.querySelector("[data-toasts]");
const more = document.createElement("a");
more.className = "toast-more";
more.href = "/inbox/";
let hidden = 0;

export const icon = (kind) => {
  const icons = document.getElementById("icons").content;
  const found = icons.querySelector(`[data-kind="${CSS.escape(kind)}"]`) ?? icons.querySelector('[data-kind=""]');
  return found.firstElementChild.cloneNode(true);
};

const held = () => place.matches(":hover, :focus-within");
const shown = () => [...place.querySelectorAll(".toast-row")];

function close(toast) {
  const inside = toast.contains(document.activeElement);
  toast.remove();
  if (!shown().length) hidden = 0;
  count();
  if (inside) (place.querySelector("button, a") ?? document.querySelector("main")).focus();
}

function count() {
  more.textContent = `+${hidden} more`;
  if (hidden) place.prepend(more);
  else more.remove();
}

/** Show `{kind, words, action: {label, href | run}}`; `stay_ms` where an action has its own time. */
export function toast({ kind, words, action, stay_ms = STAY_MS }) {
  if (!place) return null;
  const row = document.createElement("div");
  row.className = "toast-row";
  if (kind !== undefined) {
    row.dataset.kind = kind;
    row.append(icon(kind));
  }
  const text = document.createElement("span");
  text.className = "text";
  text.textContent = words;
  row.append(text);
  if (action) row.append(button(row, action));
  const shut = document.createElement("button");
  shut.type = "button";
  shut.className = "square";
  shut.setAttribute("aria-label", "Close");
  shut.append(document.getElementById("icons").content.querySelector('[data-icon="x"] svg').cloneNode(true));
  shut.addEventListener("click", () => close(row));
  row.append(shut);
  row.addEventListener("keydown", (event) => event.key === "Escape" && close(row));
  place.append(row);
  const rows = shown();
  if (rows.length > MOST) {
    const oldest = rows.find((one) => !one.contains(document.activeElement));
    oldest.remove();
    hidden += 1;
  }
  count();
  wait(row, stay_ms);
  return () => row.isConnected && close(row);
}

function button(row, { label, href, run }) {
  const element = document.createElement(href ? "a" : "button");
  element.className = "action";
  element.textContent = label;
  if (href) Object.assign(element, { href, rel: "noopener noreferrer" });
  else element.type = "button";
  if (run) {
    element.addEventListener("click", () => {
      run();
      close(row);
    });
  }
  return element;
}

function wait(row, ms) {
  setTimeout(() => {
    if (!row.isConnected) return;
    if (held()) wait(row, 1000);
    else close(row);
  }, ms);
}
