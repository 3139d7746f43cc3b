// Shrinks printed text until its lines fit: on a phone, a report of 80 columns is wider than the page.
function fit() {
  for (const block of document.querySelectorAll(".highlight-text pre")) {
    block.style.fontSize = "";
    const style = getComputedStyle(block);
    const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
    const ratio = (block.clientWidth - padding) / (block.scrollWidth - padding);
    const size = Math.max(6.5, 0.98 * ratio * parseFloat(style.fontSize)); // longer lines than a report's are scrolled
    if (ratio < 1) block.style.fontSize = `${size}px`;
  }
}

addEventListener("load", fit);
addEventListener("resize", fit);
