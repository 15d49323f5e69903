// What every page does: it tells times in the reader's zone, keeps the theme, and brings the form's token along.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.remove("no-script");

  const short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const steps = [["second", 60], ["minute", 60], ["hour", 24], ["day", 7], ["week", 4.35], ["month", 12], ["year", Infinity]];

  const longAgo = (at) => {
    let left = (at - Date.now()) / 1000;
    for (const [unit, size] of steps) {
      if (Math.abs(left) < size) return relative.format(Math.round(left), unit);
      left /= size;
    }
    return short.format(at);
  };

  const tellTimes = (within) => {
    for (const told of within.querySelectorAll("time[data-time]")) {
      const at = new Date(told.dateTime);
      told.textContent = told.dataset.time === "ago" ? longAgo(at) : short.format(at);
      told.title = full.format(at);
    }
  };

  const openFolds = () => {
    for (const button of document.querySelectorAll("[data-opens]")) {
      const side = document.getElementById(button.dataset.opens);
      button.addEventListener("click", () => {
        const open = side.classList.toggle("is-open");
        button.setAttribute("aria-expanded", String(open));
      });
    }
    const menus = () => document.querySelectorAll("details.menu[open]");
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      for (const menu of menus()) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    });
    document.addEventListener("click", (event) => {
      for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
    });
  };

  const keepTheme = () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const system = matchMedia("(prefers-color-scheme: dark)");
    const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
    const show = () => {
      button.querySelector("span").textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", isDark() ? "Switch to light" : "Switch to dark");
      document.dispatchEvent(new CustomEvent("pushkeeper:theme"));
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      document.cookie = `pushkeeper_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
      show();
    });
    system.addEventListener("change", show);
    show();
  };

  // A second click while the first is on its way would do it twice.
  const sendOnce = () => {
    document.addEventListener("submit", (event) => {
      const form = event.target;
      const method = (event.submitter && event.submitter.getAttribute("formmethod")) || form.method;
      if (method !== "post" || event.defaultPrevented) return;
      if (form.dataset.asks && !confirm(form.dataset.asks)) {
        event.preventDefault();
        return;
      }
      if (form.dataset.stays) return; // its answer is a file, and the page stays as it is
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
    });
    addEventListener("pageshow", () => {
      for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
    });
  };

  // Of two ways to say the same, only the chosen one is asked for.
  const askForChosen = () => {
    for (const name of ["with", "when"]) {
      const choice = document.getElementById(name);
      if (!choice) continue;
      const show = () => {
        for (const part of document.querySelectorAll(`[data-${name}]`)) part.hidden = part.dataset[name] !== choice.value;
      };
      choice.addEventListener("change", show);
      show();
    }
  };

  // A moment is typed in the reader's zone, which goes along with it; what the server filled in, in UTC, is told in it too.
  const typeInZone = () => {
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
    for (const held of document.querySelectorAll('input[name="zone"]')) {
      for (const field of held.form.querySelectorAll("[data-moment]")) {
        if (field.value && held.value === "UTC") {
          const at = new Date(`${field.value}Z`);
          field.value = new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
        }
        const hint = document.getElementById(`${field.id}-hint`);
        if (hint) hint.textContent = hint.textContent.replace("in UTC", `in your zone, ${timeZone}`);
      }
      held.value = timeZone;
    }
  };

  document.addEventListener("htmx:after:settle", (event) => tellTimes(event.target.parentNode || document));
  document.addEventListener("pushkeeper:shown", (event) => tellTimes(event.detail));

  // What changes by itself is asked for again, while somebody looks at it.
  const refresh = () => {
    const waited = new WeakMap();
    setInterval(() => {
      if (document.visibilityState !== "visible") return;
      for (const part of document.querySelectorAll("[data-every]")) {
        const seconds = (waited.get(part) || 0) + 1;
        const due = seconds >= Number(part.dataset.every);
        waited.set(part, due ? 0 : seconds);
        if (due) part.dispatchEvent(new Event("refresh"));
      }
      for (const told of document.querySelectorAll('time[data-time="ago"]')) {
        told.textContent = longAgo(new Date(told.dateTime));
      }
    }, 1000);
  };

  // Boxes for all rows, and buttons that copy, are of no use without a script.
  const pickAll = () => {
    for (const all of document.querySelectorAll("[data-picks-all]")) {
      all.hidden = false;
      const boxes = [...all.form.querySelectorAll("tbody .pick input")];
      all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
    }
  };
  const copyTexts = () => {
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
    document.addEventListener("click", async (event) => {
      const button = event.target.closest("[data-copy]");
      if (!button) return;
      await navigator.clipboard.writeText(button.dataset.copy);
      const said = button.getAttribute("aria-label");
      button.classList.add("is-done");
      button.setAttribute("aria-label", "Copied");
      setTimeout(() => { button.classList.remove("is-done"); button.setAttribute("aria-label", said); }, 1500);
    });
  };

  tellTimes(document);
  pickAll();
  copyTexts();
  refresh();
  openFolds();
  keepTheme();
  sendOnce();
  askForChosen();
  typeInZone();
  const wrong = document.querySelector('[aria-invalid="true"]');
  if (wrong) wrong.focus();
})();
