// A box for the filter language: a combobox that offers what may come next, as the server says.
(() => {
  "use strict";
  const box = document.querySelector("[data-offers]");
  if (!box) return;
  const list = document.createElement("ul");
  list.id = "offers";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "What may come next");
  list.hidden = true;
  box.parentNode.append(list);
  for (const [name, value] of Object.entries({ role: "combobox", "aria-controls": "offers", "aria-expanded": "false", "aria-autocomplete": "list" })) {
    box.setAttribute(name, value);
  }
  let found = null;
  let length = 0; // of what was typed when that was found
  let chosen = -1;
  let asked = 0;
  let waits;

  // What was asked and is not answered yet opens it no more.
  const close = () => {
    clearTimeout(waits);
    asked += 1;
    list.hidden = true;
    chosen = -1;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  };

  const choose = (n) => {
    const options = [...list.children];
    chosen = (n + options.length) % options.length;
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === chosen)));
    options[chosen].scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", options[chosen].id);
  };

  // The server counts whole characters, a browser two for each that is beyond the first 65,536.
  const whole = (text) => [...text].length;
  const units = (text, count) => [...text].slice(0, count).join("").length;

  const take = (n) => {
    const [word] = found.offers[n];
    const before = box.value.slice(0, found.start);
    const glued = /\($/.test(word) ? word : `${word} `;
    // The word may have been typed further since.
    const end = Math.max(found.end + box.value.length - length, found.start);
    box.value = before + glued + box.value.slice(end).replace(/^\s/, "");
    box.setSelectionRange(before.length + glued.length, before.length + glued.length);
    box.focus();
    close();
    box.dispatchEvent(new Event("change", { bubbles: true }));
    ask();
  };

  const show = () => {
    const former = chosen < 0 ? null : list.children[chosen].dataset.word;
    list.replaceChildren(
      ...found.offers.map(([word, what], i) => {
        const option = document.createElement("li");
        option.id = `offer-${i}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        option.dataset.word = word;
        option.append(word);
        if (what) {
          const small = document.createElement("small");
          small.textContent = what;
          option.append(small);
        }
        option.addEventListener("mousedown", (event) => {
          event.preventDefault();
          take(i);
        });
        return option;
      }),
    );
    chosen = -1;
    list.hidden = !found.offers.length;
    box.setAttribute("aria-expanded", String(!list.hidden));
    box.removeAttribute("aria-activedescendant");
    // Who has chosen while this was on its way has chosen still.
    const again = found.offers.findIndex(([word]) => word === former);
    if (again >= 0) choose(again);
  };

  const ask = async () => {
    const mine = ++asked;
    const typed = box.value;
    const address = `${box.dataset.offers}?${new URLSearchParams({ text: typed, at: whole(typed.slice(0, box.selectionStart)) })}`;
    try {
      const said = await fetch(address, { credentials: "same-origin", headers: { "hx-request": "true" } });
      if (!said.ok || mine !== asked || document.activeElement !== box) return;
      const offered = await said.json();
      if (mine !== asked) return;
      found = { ...offered, start: units(typed, offered.start), end: units(typed, offered.end) };
      length = typed.length;
      show();
    } catch {
      if (mine === asked) close();
    }
  };

  box.addEventListener("input", () => {
    clearTimeout(waits);
    waits = setTimeout(ask, 90);
  });
  box.addEventListener("click", ask);
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && list.hidden) {
      ask();
      event.preventDefault();
    }
    if (list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      choose(event.key === "ArrowDown" ? chosen + 1 : chosen < 0 ? -1 : chosen - 1);
      event.preventDefault();
    } else if (event.key === "Enter" && chosen >= 0) {
      take(chosen);
      event.preventDefault();
    } else if (event.key === "Escape") {
      close();
      event.stopPropagation();
      event.preventDefault();
    }
  });
  // Somebody was quicker than this script.
  if (document.activeElement === box && box.value !== box.defaultValue) ask();
})();
