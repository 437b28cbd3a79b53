// The picture of the verdict as a file: as it is seen here, with the page's colours in it.
(() => {
  const figure = document.getElementById("verdict");
  if (!figure) return;
  const EDGE = 16; // around the picture, and between its halves
  const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "paint-order", "font-family", "font-size", "font-weight"];

  const styled = (svg) => {
    const copy = svg.cloneNode(true);
    const inside = [copy, ...copy.querySelectorAll("*")];
    [svg, ...svg.querySelectorAll("*")].forEach((one, place) => {
      const style = getComputedStyle(one);
      for (const name of STYLES) inside[place].style.setProperty(name, style.getPropertyValue(name));
    });
    for (const stripe of copy.querySelectorAll("rect.stripe")) stripe.remove(); // what is picked is no part of the picture
    return copy;
  };

  const whole = () => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const halves = [...figure.querySelectorAll("svg")].filter((svg) => svg.checkVisibility());
    const isWide = halves[0].closest(".wide") !== null;
    let [x, y, width, height] = [EDGE, EDGE, 0, 0];
    for (const half of halves) {
      const { width: across, height: down } = half.viewBox.baseVal;
      const copy = styled(half);
      for (const [key, value] of Object.entries({ x, y, width: across, height: down })) copy.setAttribute(key, value);
      made.append(copy);
      [width, height] = [Math.max(width, x + across), Math.max(height, y + down)];
      if (isWide) x += across + EDGE;
      else y += down + EDGE;
    }
    made.setAttribute("viewBox", `0 0 ${width + EDGE} ${height + EDGE}`);
    made.setAttribute("aria-label", halves.map((half) => half.getAttribute("aria-label")).join(" "));
    const ground = getComputedStyle(document.body).backgroundColor;
    made.insertAdjacentHTML("afterbegin", `<rect width="100%" height="100%" fill="${ground}"/>`);
    return made;
  };

  // A row picks its design, by a click or by Enter.
  const stripes = [...figure.querySelectorAll("rect.stripe")].filter((one) => document.querySelector(`tr[data-setting="${CSS.escape(one.dataset.setting)}"]`));
  for (const stripe of stripes) {
    stripe.ownerSVGElement.setAttribute("role", "group"); // a picture has no parts for whoever listens to it
    stripe.classList.add("live");
    stripe.setAttribute("role", "button");
    stripe.setAttribute("tabindex", "0");
    stripe.setAttribute("aria-label", stripe.dataset.words);
    stripe.addEventListener("click", () => page.toggle(stripe.dataset.setting));
    stripe.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      page.toggle(stripe.dataset.setting);
    });
  }
  const mark = () => {
    for (const stripe of stripes) stripe.setAttribute("aria-pressed", String(page.picked.has(stripe.dataset.setting)));
  };
  page.listeners.push(mark);
  mark();

  const tools = Object.assign(document.createElement("div"), { className: "figure-tools" });
  for (const format of ["svg", "png"]) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: format.toUpperCase() });
    button.setAttribute("aria-label", `The verdict as one picture, as ${format.toUpperCase()}`);
    button.addEventListener("click", () => page.savePicture(whole(), format, "-verdict"));
    tools.append(button);
  }
  figure.after(tools);
})();
