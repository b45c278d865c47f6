// The page: its charts, tables that are sorted and searched, and the change to paper and back.
(() => {
  const charts = Object.entries(JSON.parse(document.getElementById("charts").textContent)).map(
    ([id, data]) => new Chart(document.getElementById(id), data),
  );
  const redraw = () => charts.forEach((chart) => chart.draw());
  // All pictures of the grid show the same part of it.
  const grids = charts.filter((chart) => chart.isGrid);
  for (const chart of grids) chart.linked = grids;

  function sortable(table) {
    const body = table.tBodies[0];
    for (const button of table.querySelectorAll("th button")) {
      button.addEventListener("click", () => {
        const head = button.parentElement;
        const column = head.cellIndex;
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
        const rows = Array.from(body.rows, (row) => [key(row), row]);
        const numeric = head.classList.contains("n");
        rows.sort(([p], [q]) => {
          // What has no value stays at the end in both directions.
          if (p === "" || q === "") return (p === "") - (q === "");
          const order = numeric ? Number(p) - Number(q) : p.localeCompare(q, "en", { numeric: true });
          return down ? -order : order;
        });
        body.append(...rows.map(([, row]) => row));
      });
    }
  }

  function searchable(input) {
    const words = (row) => Array.from(row.cells).filter((cell) => !cell.classList.contains("n")).map((cell) => cell.textContent).join("\n").toLowerCase();
    const rows = Array.from(document.getElementById(input.dataset.table).tBodies[0].rows, (row) => [words(row), row]);
    const count = input.closest(".tools").querySelector("output");
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      let shown = 0;
      for (const [text, row] of rows) {
        row.hidden = !text.includes(wanted);
        shown += row.hidden ? 0 : 1;
      }
      count.value = wanted === "" ? "" : `${shown} of ${rows.length}`;
    });
  }

  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll("input[data-table]").forEach(searchable);
  const box = document.getElementById("names");
  if (box) {
    const named = () => grids.forEach((chart) => { chart.named = box.checked; chart.draw(); });
    box.addEventListener("change", named);
    named();
  }
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  const paper = (on) => {
    document.documentElement.classList.toggle("light", on);
    charts.forEach((chart) => chart.paint());
  };
  window.addEventListener("beforeprint", () => paper(true));
  window.addEventListener("afterprint", () => paper(false));
  document.documentElement.dataset.ready = "yes";
})();
