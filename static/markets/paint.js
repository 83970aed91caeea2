// When and how the page is touched: at most ten times a second, not at all while it is hidden.

const EVERY_MS = 100;
const FLASH_MS = 600;
const calm = globalThis.matchMedia?.("(prefers-reduced-motion: reduce)");

/** A function that asks for one painting soon, however often it is called. */
export function painter(draw) {
  let asked = false;
  let last = 0;
  const frame = (now) => {
    if (now - last < EVERY_MS) return requestAnimationFrame(frame);
    asked = false;
    last = now;
    draw();
  };
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(frame); // a hidden tab gets no frame, and one when it is back
  };
}

export function put(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

export function way(element, direction) {
  if (!element) return;
  element.classList.toggle("up", direction === "up");
  element.classList.toggle("down", direction === "down");
}

/** A changed price flashes once; where motion is unwanted a line stays under it as long. */
export function flash(element, direction) {
  if (calm?.matches) {
    element.classList.remove("moved-up", "moved-down");
    element.classList.add(`moved-${direction}`);
    clearTimeout(element.flashing);
    element.flashing = setTimeout(() => element.classList.remove(`moved-${direction}`), FLASH_MS);
    return;
  }
  element.flashing?.cancel();
  const style = getComputedStyle(document.documentElement);
  element.flashing = element.animate(
    [
      { backgroundColor: style.getPropertyValue(`--${direction}-soft`), color: style.getPropertyValue(`--${direction}`) },
      { backgroundColor: "transparent" },
    ],
    { duration: FLASH_MS, easing: "ease-out" },
  );
}
