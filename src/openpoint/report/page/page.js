// The page: its charts, tables that are sorted and searched, and the change to paper and back.
(async () => {
  // Inside a page of `openpoint serve` or a widget it tells how high it is and which branch is chosen, and shows what that page sends.
  const isFramed = window.parent !== window && window.name === "framed";
  const tell = (said) => window.parent.postMessage(said, "*");
  if (isFramed) new ResizeObserver(() => tell({ height: Math.ceil(document.body.getBoundingClientRect().height) })).observe(document.body);

  // The data in an element; long ones are compressed.
  async function read(element) {
    if (element.type === "application/json") return JSON.parse(element.textContent);
    if (!window.DecompressionStream) {
      const note = document.createElement("p");
      note.textContent = "The pictures and long tables of this page need a browser of 2023 or later.";
      document.querySelector("main").prepend(note);
    }
    const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  // States of a grid lie over each other: a slider leads from one to the next, and between two blends them.
  const pairs = Array.from(document.querySelectorAll(".slide"), (slide) => {
    const pair = slide.parentElement, slider = slide.querySelector("input");
    const figures = Array.from(pair.querySelectorAll("figure"));
    const keys = figures.map((figure) => figure.querySelector(".chart").id.replace(/^grid-/, ""));
    const show = () => {
      const at = Number(slider.value), most = Math.round(at);
      figures.forEach((figure, k) => {
        const share = Math.max(0, 1 - Math.abs(at - k));
        figure.hidden = share === 0;
        figure.classList.toggle("under", k !== most);
        figure.style.setProperty("--share", share);
      });
      slider.setAttribute("aria-valuetext", figures[most].querySelector("figcaption").textContent);
      return keys[most];
    };
    pair.classList.add("over");
    show();
    return { slider, figures, keys, show };
  });

  const charts = Object.entries(await read(document.getElementById("charts"))).map(
    ([id, data]) => new Chart(document.getElementById(id), data),
  );
  const redraw = () => charts.forEach((chart) => chart.draw());
  // All pictures of the grid show the same part of it.
  const grids = charts.filter((chart) => chart.isGrid);
  for (const chart of grids) chart.linked = grids;

  function turned({ show }) {
    const key = show();
    for (const chart of charts) chart.choose(key);
    for (const chart of grids) {
      chart.size(); // of one that is shown for the first time
      chart.draw();
    }
  }
  for (const pair of pairs) {
    pair.slider.addEventListener("input", () => turned(pair));
    pair.slider.addEventListener("change", () => { location.hash = pair.keys[Math.round(pair.slider.value)]; });
    turned(pair);
  }
  // A state has an address: a point that is clicked, a link, and the way back lead to it.
  function led() {
    const key = location.hash.slice(1);
    for (const pair of pairs) {
      const k = pair.keys.indexOf(key);
      if (k < 0 || k === Math.round(pair.slider.value)) continue;
      pair.slider.value = k;
      turned(pair);
      pair.figures[k].scrollIntoView({ block: "nearest" });
    }
    if (isFramed) tell({ place: location.hash });
  }
  window.addEventListener("hashchange", led);
  led();

  const MOST = 300; // rows of a long table that are drawn at once
  const text = (cell) => (Array.isArray(cell) ? cell[0] : cell);

  // The rows of a table: as they stand in the page, or those of a long table, which are drawn when they are looked at.
  function standing(table) {
    const body = table.tBodies[0];
    return {
      rows: Array.from(body.rows),
      key: (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent,
      words: (row) => Array.from(row.cells).filter((cell) => !cell.classList.contains("n")).map((cell) => cell.textContent).join("\n"),
      show(ordered, matching) {
        const chosen = new Set(matching);
        for (const row of ordered) row.hidden = !chosen.has(row);
        body.append(...ordered);
        return matching.length;
      },
    };
  }

  function stored(table, { digits, rows }) {
    const body = table.tBodies[0];
    const format = digits.map((count) => count !== null && new Intl.NumberFormat("en", { minimumFractionDigits: count, maximumFractionDigits: count }));
    const drawn = (row) => {
      const line = document.createElement("tr");
      row.forEach((value, k) => {
        const cell = line.insertCell();
        if (format[k]) {
          cell.className = "n";
          cell.textContent = value === null ? "–" : format[k].format(value);
        } else if (Array.isArray(value)) {
          const link = document.createElement("a");
          [link.textContent, link.href] = value;
          cell.append(link);
        } else {
          cell.textContent = value;
          if (value.length > 30) cell.title = value;
        }
      });
      return line;
    };
    return {
      rows,
      key: (row, column) => text(row[column]) ?? "",
      words: (row) => row.filter((_, k) => !format[k]).map(text).join("\n"),
      show(ordered, matching) {
        body.replaceChildren(...matching.slice(0, MOST).map(drawn));
        return Math.min(matching.length, MOST);
      },
    };
  }

  async function handy(table) {
    const data = document.querySelector(`script[data-rows="${table.id}"]`);
    const model = data ? stored(table, await read(data)) : standing(table);
    const input = document.querySelector(`input[data-table="${table.id}"]`);
    let ordered = model.rows, lower = null;
    const show = () => {
      const wanted = input ? input.value.trim().toLowerCase() : "";
      if (wanted) lower ??= new Map(model.rows.map((row) => [row, model.words(row).toLowerCase()]));
      const matching = wanted ? ordered.filter((row) => lower.get(row).includes(wanted)) : ordered;
      const seen = model.show(ordered, matching);
      if (!input) return;
      const some = seen < matching.length ? `, the first ${seen} shown` : "";
      input.closest(".tools").querySelector("output").value = wanted || some ? `${matching.length} of ${ordered.length}${some}` : "";
    };
    for (const button of table.querySelectorAll("th button")) {
      button.addEventListener("click", () => {
        const head = button.parentElement;
        const column = head.cellIndex;
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const numeric = head.classList.contains("n");
        const { compare } = new Intl.Collator("en", { numeric: true });
        const keyed = ordered.map((row) => [model.key(row, column), row]);
        keyed.sort(([p], [q]) => {
          // What has no value stays at the end in both directions.
          if (p === "" || q === "") return (p === "") - (q === "");
          const order = numeric ? Number(p) - Number(q) : compare(p, q);
          return down ? -order : order;
        });
        ordered = keyed.map(([, row]) => row);
        show();
      });
    }
    input?.addEventListener("input", show);
    if (data) show();
  }

  // Shows a bus or branch in all pictures of the grid, by the box or by its name in a table.
  const find = document.getElementById("find"), found = document.getElementById("found");
  function seek(name, kinds) {
    const there = grids[0].find(name, kinds);
    found.value = there || !name ? "" : "no bus or branch of this name";
    return there;
  }
  function leading(table) {
    const heads = Array.from(table.tHead.rows[0].cells, (head) => head.textContent);
    const column = heads.findIndex((head) => head === "bus" || head === "branch");
    if (column < 0) return;
    table.dataset.leads = column + 1;
    table.tBodies[0].addEventListener("click", (event) => {
      const cell = event.target.closest("td");
      if (!cell || cell.cellIndex !== column) return;
      find.value = cell.textContent;
      if (seek(cell.textContent, [heads[column]])) grids.find((chart) => chart.place.clientWidth).place.scrollIntoView({ block: "center" });
    });
  }

  await Promise.all(Array.from(document.querySelectorAll("table.sortable"), handy));
  if (find) {
    document.querySelectorAll("table.sortable").forEach(leading);
    find.addEventListener("change", () => seek(find.value.trim()));
  }
  const box = document.getElementById("names");
  if (box) {
    const show = () => grids.forEach((chart) => { chart.named = box.checked; chart.draw(); });
    box.addEventListener("change", show);
    show();
  }
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  if (isFramed) {
    for (const chart of grids) {
      let down = null;
      chart.canvas.addEventListener("pointerdown", (event) => { down = chart.spot(event); });
      chart.canvas.addEventListener("click", (event) => {
        const spot = chart.spot(event), told = chart.under(spot);
        const still = down && Math.hypot(down.x - spot.x, down.y - spot.y) < 5; // else the picture was moved
        if (still && told && told.startsWith("branch ")) tell({ chosen: told.split("\n")[0].slice(7) });
      });
    }
    window.addEventListener("message", (event) => {
      if (event.source !== window.parent) return;
      for (const chart of grids) {
        if (!event.data.marks) break;
        const kept = chart.data.layers.filter((layer) => !layer.mark);
        const marks = event.data.marks.map(({ name, ...look }) => ({ ...chart.placed("branch", name), ...look }));
        chart.data.layers = [...kept, ...marks.filter((mark) => "x" in mark).map(({ x, y, ...look }) => ({ kind: "dots", mark: true, x: [x], y: [y], ...look }))];
        chart.draw();
      }
      if (typeof event.data.place === "string") location.hash = event.data.place;
      const fresh = event.data.chart && charts[0];
      if (fresh) {
        fresh.data = event.data.chart;
        fresh.reset();
      }
    });
    tell({ ready: true });
  }
  // Paper is light, and has all states of a grid below each other.
  const paper = (on) => {
    document.documentElement.classList.toggle("light", on);
    for (const chart of charts) {
      chart.size();
      if (chart.width) chart.paint();
    }
  };
  window.addEventListener("beforeprint", () => paper(true));
  window.addEventListener("afterprint", () => paper(false));
  document.documentElement.dataset.ready = "yes";
})();
