"use strict";
// Theme: the system's, until the reader chooses; the choice is kept where the browser allows it.
const root = document.documentElement;
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const store = {
  get() { try { return localStorage.getItem("theme"); } catch { return null; } },
  set(value) { try { localStorage.setItem("theme", value); } catch { /* a file may have no storage */ } },
};
if (store.get()) root.dataset.theme = store.get();
document.getElementById("theme").addEventListener("click", () => {
  const shown = root.dataset.theme ?? (prefersDark.matches ? "dark" : "light");
  root.dataset.theme = shown === "dark" ? "light" : "dark";
  store.set(root.dataset.theme);
});
// On paper everything is shown; on the screen the reader's choice comes back.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("main details:not([open])")];
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
});

// Sorting: numbers by data-sort, text by itself; numbers start with the highest, a third click restores the order.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const key = (row, index) => row.cells[index].dataset.sort ?? row.cells[index].textContent.trim();
  table.querySelectorAll("thead button").forEach((button) => {
    button.addEventListener("click", () => {
      const heading = button.closest("th");
      const index = heading.cellIndex;
      const numeric = original.every((row) => key(row, index) !== "" && !Number.isNaN(Number(key(row, index))));
      const first = heading.classList.contains("number") ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const state = { [first]: second, [second]: null }[heading.ariaSort] ?? (heading.ariaSort ? null : first);
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      const rows = [...original];
      if (state) {
        heading.setAttribute("aria-sort", state);
        const sign = state === "ascending" ? 1 : -1;
        rows.sort((a, b) => {
          const [left, right] = [key(a, index), key(b, index)];
          return sign * (numeric ? Number(left) - Number(right) : left.localeCompare(right));
        });
      }
      body.append(...rows);
    });
  });
}
