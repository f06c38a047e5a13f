"use strict";

/** Compare two values: numbers by size, text as a person would, and what is missing last, whichever way the rest is sorted. */
function byValue(one, other, down) {
  if (one === null || other === null) return (one === null) - (other === null);
  const order = typeof one === "number" && typeof other === "number" ? one - other
    : String(one).localeCompare(String(other), "en", {numeric: true});
  return down ? -order : order;
}

/** Read a cell as a page writes it: the number that it begins with, else its text; null where it has none. */
function ofCell(text) {
  const plain = text.trim().replaceAll("−", "-").replaceAll(/(\d),(?=\d{3})/g, "$1");
  if (["", "–", "NA"].includes(plain)) return null;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?($|[ %(])/i.test(plain) ? parseFloat(plain) : text.trim();
}

/** Make a button of each header, and say which column is sorted; the first click on a column sorts down where first says so. */
function sortable(table, sort, first = () => false) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by this column";
    button.append(...header.childNodes);
    if (!button.textContent.trim()) button.setAttribute("aria-label", "Sort by the first column");
    header.append(button);
    button.onclick = () => {
      const before = header.getAttribute("aria-sort"), down = before ? before === "ascending" : first(column);
      headers.forEach(other => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(column, down);
    };
  });
}

/** Let the rows that a table already has be sorted. */
function sortRows(table) {
  const [body] = table.tBodies;
  sortable(table, (column, down) => {
    const keyed = [...body.rows].map(row => [ofCell(row.cells[column].textContent), row]);
    keyed.sort(([one], [other]) => byValue(one, other, down));
    body.append(...keyed.map(([, row]) => row));
  });
}
