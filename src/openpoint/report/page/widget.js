// The picture of a grid as a widget of notebooks: a frame apart from them, whose clicks choose branches.
export default {
  render({ model, el }) {
    const frame = document.createElement("iframe");
    Object.assign(frame, { name: "framed", title: "The grid: a click chooses a branch", srcdoc: model.get("page") });
    frame.setAttribute("sandbox", "allow-scripts allow-downloads");
    frame.style.cssText = "width:100%;height:420px;border:0";
    const look = { shape: "cross", fill: "@opens", edge: "@opens", size: 15, width: 3 };
    const mark = () => frame.contentWindow?.postMessage({ marks: model.get("chosen").map((name) => ({ name, ...look })) }, "*");
    const hear = ({ source, data }) => {
      if (source !== frame.contentWindow || typeof data !== "object" || !data) return;
      if (Number.isFinite(data.height)) frame.style.height = `${Math.min(data.height, 5000)}px`;
      if (data.ready) mark();
      const name = model.get("names")[data.chosen] ?? data.chosen;
      if (typeof name !== "string") return;
      const others = model.get("chosen").filter((each) => each !== name);
      model.set("chosen", others.length < model.get("chosen").length ? others : [...others, name]);
      model.save_changes();
      mark();
    };
    window.addEventListener("message", hear);
    model.on("change:chosen", mark);
    el.append(frame);
    return () => { window.removeEventListener("message", hear); model.off("change:chosen", mark); };
  },
};
