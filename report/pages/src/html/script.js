// A click on a column's name sorts the table by it. Cells without a figure stay at the end.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  if (!body || body.rows.length < 2) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const key = (row) => {
      const text = row.cells[column].textContent.trim();
      return { text, number: parseFloat(text.replaceAll(",", "")), none: text === "-" || text === "" };
    };
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const order = (a, b) => {
        if (a.none || b.none) return a.none - b.none;
        const numbers = !Number.isNaN(a.number) && !Number.isNaN(b.number);
        return sign * (numbers ? a.number - b.number : a.text.localeCompare(b.text, "en", { numeric: true }));
      };
      const rows = [...body.rows].map((row) => ({ row, key: key(row) }));
      rows.sort((a, b) => order(a.key, b.key)).forEach(({ row }) => body.append(row));
    });
  });
}
