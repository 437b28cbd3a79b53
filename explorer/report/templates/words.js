// What a word means. Without scripts a press opens it at the foot of the window; here it stands beside the word, also
// while the pointer rests on it or the keyboard is at it. Escape and a press elsewhere close it, as the browser has it.
(() => {
  const [GAP, EDGE, LINGERS] = [6, 8, 250]; // pixels below the word and from the window's edge; ms on the way to the text
  const isOpen = (box) => box.matches(":popover-open");

  const stand = (box, word) => {
    const at = word.getBoundingClientRect();
    const { width, height } = box.getBoundingClientRect();
    const left = Math.max(EDGE, Math.min(at.left, document.documentElement.clientWidth - width - EDGE));
    const below = at.bottom + GAP + height <= innerHeight || at.top < height + GAP;
    const top = below ? at.bottom + GAP : at.top - GAP - height;
    Object.assign(box.style, { inset: "auto", left: `${left + scrollX}px`, top: `${top + scrollY}px` });
  };

  let last = null; // the word that was pressed
  for (const box of document.querySelectorAll(".meant")) {
    box.addEventListener("toggle", () => isOpen(box) && last?.dataset.word === box.id.slice("word-".length) && stand(box, last));
  }
  for (const word of document.querySelectorAll("[data-word]")) {
    const box = document.getElementById(`word-${word.dataset.word}`);
    if (!box?.showPopover) continue;
    let leaving = 0;
    let isHovered = false;
    const show = () => {
      clearTimeout(leaving);
      if (!isOpen(box)) box.showPopover();
      last = word;
      stand(box, word);
    };
    const hide = () => {
      if (isOpen(box)) box.hidePopover();
    };
    const leave = () => {
      leaving = setTimeout(() => isHovered && (isHovered = false, hide()), LINGERS);
    };
    word.addEventListener("pointerenter", (event) => {
      if (event.pointerType !== "mouse") return;
      isHovered = true;
      show();
    });
    word.addEventListener("pointerleave", leave);
    box.addEventListener("pointerenter", () => clearTimeout(leaving));
    box.addEventListener("pointerleave", leave);
    word.addEventListener("focusin", (event) => event.target.matches(":focus-visible") && show());
    word.addEventListener("focusout", hide);
    word.addEventListener("click", () => (last = word));
  }
})();
