"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const narrow = () => window.innerWidth < 700;

  // Colours are named in the data ("@line") and taken from the style sheet, so that charts follow light and dark.
  // Only keys that end in "color" are looked at: a name of the grid is never taken for one.
  function coloured(value, key, sheet) {
    if (Array.isArray(value)) return value.map((item) => coloured(item, key, sheet));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, coloured(v, k, sheet)]));
    }
    if (typeof value === "string" && value.startsWith("@") && key.endsWith("color")) {
      return sheet.getPropertyValue("--" + value.slice(1)).trim();
    }
    return value;
  }

  function show(id) {
    const place = document.getElementById(id);
    const sheet = getComputedStyle(document.documentElement);
    const chart = coloured(charts[id], "", sheet);
    const kept = place.layout && place.layout.xaxis ? [place.layout.xaxis.range, place.layout.yaxis.range] : null;
    if (kept && kept[0] && chart.layout.xaxis.range) [chart.layout.xaxis.range, chart.layout.yaxis.range] = kept.map((r) => r.slice());
    const config = {
      responsive: true,
      displaylogo: false,
      displayModeBar: narrow() ? false : "hover",
      // These and no others: plotly.js would also offer to send the chart to a server.
      modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
      plotlyServerURL: "",
      scrollZoom: id.startsWith("grid"),
      toImageButtonOptions: { filename: id, scale: 2 },
    };
    return Plotly.react(place, chart.data, chart.layout, config);
  }

  function link(a, b) {
    const places = [document.getElementById(a), document.getElementById(b)];
    let busy = false;
    places.forEach((from, i) => from.on("plotly_relayout", (change) => {
      if (busy || !Object.keys(change).some((k) => k.includes("axis"))) return;
      busy = true;
      const { xaxis, yaxis } = from.layout;
      Plotly.relayout(places[1 - i], { "xaxis.range": xaxis.range.slice(), "yaxis.range": yaxis.range.slice() }).finally(() => { busy = false; });
    }));
  }

  function names(on) {
    for (const id of Object.keys(charts)) {
      const which = charts[id].data.findIndex((trace) => trace.name === "bus names");
      if (which >= 0) {
        charts[id].data[which].visible = on;
        Plotly.restyle(id, { visible: on }, [which]);
      }
    }
  }

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

  const all = () => Promise.all(Object.keys(charts).map(show));
  all().then(() => {
    if (charts["grid-before"] && charts["grid-after"]) link("grid-before", "grid-after");
    document.documentElement.dataset.ready = "yes";
  });
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll("input[data-table]").forEach(searchable);
  const box = document.getElementById("names");
  if (box) box.addEventListener("change", () => names(box.checked));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  window.addEventListener("beforeprint", () => { document.documentElement.classList.add("light"); all(); });
  window.addEventListener("afterprint", () => { document.documentElement.classList.remove("light"); all(); });
})();
