// @ts-nocheck
/* Evaluated in a page by `faultsOf` in browser.ts. It is one expression, whose value is `Faults`. */
(() => {
  const SLACK = 1.5;
  const LEAST_CONTRAST = 4.5;
  const misplaced = [];
  const faint = [];
  const mute = [];

  const scrolls = (element) => /auto|scroll/.test(getComputedStyle(element).overflowX);
  const isShown = (element) =>
    element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && !element.closest("[hidden]");
  /** Text for screen readers alone is clipped away on purpose. */
  const isClipped = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const { width, height } = at.getBoundingClientRect();
      if (getComputedStyle(at).overflow === "hidden" && width <= 1 && height <= 1) return true;
    }
    return false;
  };
  const excerpt = (text) => JSON.stringify(text.trim().replace(/\s+/g, " ").slice(0, 60));

  const root = document.documentElement;
  if (root.scrollWidth > innerWidth + 1) {
    misplaced.push(`the page is ${root.scrollWidth} px wide in a window of ${innerWidth}`);
  }

  const drawn = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === "" || /^(SCRIPT|STYLE|TITLE|DESC|NOSCRIPT|OPTION|title|desc)$/.test(element.tagName))
      continue;
    if (!isShown(element) || isClipped(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const rects = [...range.getClientRects()].filter(({ width }) => width > 0);
    if (rects.length === 0) continue;
    look(node, element, rects);
    contrast(node, element);
  }

  function look(node, element, rects) {
    const svg = element.closest("svg");
    if (svg !== null) {
      const text = element.closest("text") ?? element;
      const box = text.getBoundingClientRect();
      const frame = svg.getBoundingClientRect();
      if (isOutside(box, frame)) misplaced.push(`${excerpt(node.data)} leaves its drawing`);
      if (!drawn.some((each) => each.text === text)) drawn.push({ text, box, svg });
      return;
    }
    for (let at = element; at !== null && at !== document.body; at = at.parentElement) {
      if (scrolls(at)) return;
      const { display } = getComputedStyle(at);
      if (display.startsWith("inline") && display !== "inline-block") continue;
      const frame = at.getBoundingClientRect();
      if (rects.some((rect) => rect.left < frame.left - SLACK || rect.right > frame.right + SLACK)) {
        misplaced.push(`${excerpt(node.data)} leaves its <${at.tagName.toLowerCase()}>`);
        return;
      }
      if (getComputedStyle(at).overflow === "hidden" && at.scrollWidth > at.clientWidth + SLACK) {
        misplaced.push(`${excerpt(node.data)} is cut by its <${at.tagName.toLowerCase()}>`);
        return;
      }
    }
  }

  function isOutside(box, frame) {
    return (
      box.left < frame.left - SLACK ||
      box.right > frame.right + SLACK ||
      box.top < frame.top - SLACK ||
      box.bottom > frame.bottom + SLACK
    );
  }

  for (const [index, one] of drawn.entries()) {
    for (const other of drawn.slice(index + 1)) {
      if (one.svg !== other.svg) continue;
      const width = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
      const height = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
      if (width > SLACK && height > 3) {
        misplaced.push(`${excerpt(one.text.textContent)} and ${excerpt(other.text.textContent)} lie over each other`);
      }
    }
  }

  function contrast(node, element) {
    const style = getComputedStyle(element);
    const isDrawn = element.closest("svg") !== null;
    let colour = parse(isDrawn ? style.fill : style.color);
    if (colour === undefined) return;
    const layers = [];
    if (isDrawn) {
      const rect = rectBehind(element);
      const fill = rect === undefined ? undefined : parse(getComputedStyle(rect).fill);
      if (fill !== undefined) layers.push(fill);
    }
    let opacity = 1;
    for (let at = element; at !== null; at = at.parentElement) {
      const each = getComputedStyle(at);
      opacity *= Number(each.opacity);
      if (at instanceof SVGElement && at.tagName !== "svg") continue;
      const background = parse(each.backgroundColor);
      if (background !== undefined && background[3] > 0) layers.push(background);
      if (background?.[3] === 1) break;
    }
    const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
    const behind = layers.reduceRight((below, layer) => over(layer, below), canvas);
    colour = over([colour[0], colour[1], colour[2], colour[3] * opacity], behind);
    const ratio = ratioOf(colour, behind);
    if (ratio < LEAST_CONTRAST) {
      faint.push(`${excerpt(node.data)} has a contrast of ${ratio.toFixed(2)} (${colour.slice(0, 3).map(Math.round)})`);
    }
  }

  /** The topmost filled rectangle that is drawn before a text and contains it. */
  function rectBehind(element) {
    const text = element.closest("text");
    const box = text.getBoundingClientRect();
    const rects = [...text.ownerSVGElement.querySelectorAll("rect")].filter((rect) => {
      const isBefore = rect.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING;
      const { fill } = getComputedStyle(rect);
      return isBefore && fill !== "none" && !isOutside(box, rect.getBoundingClientRect());
    });
    return rects.at(-1);
  }

  function parse(text) {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    if (text === "none" || text.startsWith("url")) return undefined;
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  }

  function over([red, green, blue, alpha], below) {
    return [red, green, blue].map((each, index) => each * alpha + below[index] * (1 - alpha)).concat(1);
  }

  function ratioOf(one, other) {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  }

  function luminance(colour) {
    const [red, green, blue] = colour.slice(0, 3).map((each) => {
      const share = each / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  const named = (element) =>
    (element.getAttribute("aria-label") ?? "").trim() !== "" ||
    element.hasAttribute("aria-labelledby") ||
    element.getAttribute("aria-hidden") === "true" ||
    element.closest("[aria-hidden='true']") !== null;
  for (const element of document.querySelectorAll("svg, canvas, img, button, input, select, textarea, a[href]")) {
    if (!isShown(element)) continue;
    const tag = element.tagName.toLowerCase();
    const has =
      named(element) ||
      (tag === "img" && element.hasAttribute("alt")) ||
      (tag === "svg" && element.querySelector(":scope > title") !== null) ||
      (["button", "a"].includes(tag) && element.textContent.trim() !== "") ||
      (["input", "select", "textarea"].includes(tag) && element.labels?.length > 0);
    if (!has)
      mute.push(
        `<${tag}> ${element.id === "" ? element.getAttribute("class") : `#${element.id}`} has no text alternative`,
      );
  }

  return { misplaced, faint, mute };
})();
