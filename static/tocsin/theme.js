// Runs before the first paint: the kept theme, else the system's; and the person's zone for the server.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => {
    try {
      return localStorage.getItem("theme") || "system";
    } catch {
      return "system";
    }
  };
  const show = () => {
    const choice = kept();
    root.dataset.theme = choice;
    root.dataset.bsTheme = choice === "system" ? (system.matches ? "dark" : "light") : choice;
    root.dispatchEvent(new CustomEvent("themechange", { bubbles: true }));
  };
  show();
  system.addEventListener("change", show);
  addEventListener("storage", (event) => event.key === "theme" && show());
  globalThis.tocsinTheme = {
    choose(choice) {
      try {
        localStorage.setItem("theme", choice);
      } catch {
        // private windows keep nothing: the choice then holds for this page
      }
      show();
    },
  };
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.includes(`zone=${encodeURIComponent(zone)}`)) {
    document.cookie = `zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;
  }
})();
