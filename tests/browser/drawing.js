// Draws the page that is shown as a plain SVG, for the documents: no binary is in the repository. test_drawings.py loads it.
//
// It knows what the console's pages use, and no more: boxes with background, border and radius; text by line; form controls;
// the marks before badges; progress bars; the page's own SVG. Numbers are rounded to 0.1, and colours and fonts are classes, so
// the same page gives the same bytes. Fonts differ between machines: each line says how long it is.

/** {svg, texts}: the drawing, and every text of the page in the document's order, whether it is in the drawing or not. */
function drawing(label) { // eslint-disable-line no-unused-vars -- test_drawings.py calls it
  // Without the room for a scroll bar.
  const width = Math.round(document.body.getBoundingClientRect().right);
  const parts = [];
  const clips = [];
  const classes = new Map();
  const texts = [];
  const pen = document.createElement('canvas').getContext('2d');

  // --- words of SVG ---

  const round = (number) => String(Math.round(number * 10) / 10 + 0);
  const escaped = (text) => String(text).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '').replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
  const attributes = (given) =>
    Object.entries(given)
      .filter(([name, value]) => value !== undefined && !(value === 0 && ['rx', 'x', 'y'].includes(name)))
      .map(([name, value]) => ` ${name}="${typeof value === 'number' ? round(value) : escaped(value)}"`)
      .join('');
  const put = (name, given) => parts.push(`<${name}${attributes(given)}/>`);
  /** The class that has this declaration. */
  const styled = (declaration) => {
    if (!classes.has(declaration)) classes.set(declaration, `s${classes.size}`);
    return classes.get(declaration);
  };

  /** A colour as SVG has it, or null if nothing is seen of it. */
  function colour(text) {
    const found = /^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/.exec(text);
    if (!found) return text === 'none' ? null : text;
    const [red, green, blue] = found.slice(1, 4).map((part) => Math.round(part).toString(16).padStart(2, '0'));
    const alpha = found[4] === undefined ? 1 : Number(found[4]);
    if (alpha === 0) return null;
    return `#${red}${green}${blue}${alpha < 1 ? Math.round(alpha * 255).toString(16).padStart(2, '0') : ''}`;
  }

  const pixels = (text) => Number.parseFloat(text) || 0;
  const radius = (style, box) => (style.borderTopLeftRadius.endsWith('%') ? (Math.min(box.width, box.height) * pixels(style.borderTopLeftRadius)) / 100 : Math.min(pixels(style.borderTopLeftRadius), box.height / 2));
  const isOn = (box) => box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < bottom && box.right > 0 && box.left < width;

  // --- boxes ---

  const SIDES = ['Top', 'Right', 'Bottom', 'Left'];

  function drawBox(style, box) {
    const fill = colour(style.backgroundColor);
    const sides = SIDES.map((side) => ({ side, size: style[`border${side}Style`] === 'none' ? 0 : pixels(style[`border${side}Width`]), paint: colour(style[`border${side}Color`]) }));
    const isFramed = sides.every(({ size, paint }) => size > 0 && size === sides[0].size && paint === sides[0].paint && paint !== null);
    const inset = isFramed ? sides[0].size / 2 : 0;
    if (fill || isFramed) {
      const look = [`fill:${fill ?? 'none'}`, ...(isFramed ? [`stroke:${sides[0].paint}`, ...(sides[0].size === 1 ? [] : [`stroke-width:${sides[0].size}`])] : [])];
      put('rect', { class: styled(look.join(';')), x: box.left + inset, y: box.top + inset, width: box.width - 2 * inset, height: box.height - 2 * inset, rx: Math.max(0, radius(style, box) - inset) || undefined });
    }
    if (isFramed) return;
    for (const { side, size, paint } of sides) {
      if (size === 0 || paint === null) continue;
      const isAcross = side === 'Top' || side === 'Bottom';
      const given = { x: side === 'Right' ? box.right - size : box.left, y: side === 'Bottom' ? box.bottom - size : box.top, width: isAcross ? box.width : size, height: isAcross ? size : box.height };
      put('rect', { class: styled(`fill:${paint}`), ...given });
    }
  }

  // --- text ---

  const isMono = (style) => /mono/i.test(style.fontFamily);
  // The fonts that are as wide as those of the page here come first.
  const family = (style) => (isMono(style) ? '"DejaVu Sans Mono",Menlo,Consolas,monospace' : '"DejaVu Sans",Verdana,system-ui,sans-serif');

  function measured(style, text) {
    pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    return pen.measureText(text);
  }

  const look = (style, isUnderlined) =>
    styled([`fill:${colour(style.color)}`, `font:${style.fontWeight === '400' ? '' : `${style.fontWeight} `}${round(pixels(style.fontSize))}px ${family(style)}`, ...(isUnderlined ? ['text-decoration:underline'] : [])].join(';'));

  /** One line, where it is seen. `top` is the top of its font's box. */
  function line(style, text, x, top, length, isUnderlined) {
    const seen = text.trimEnd();
    if (seen === '' || length <= 0) return '';
    const ascent = Math.round(measured(style, 'x').fontBoundingBoxAscent);
    const keeps = /\s\s/.test(seen) ? { 'xml:space': 'preserve' } : {};
    return `<text${attributes({ class: look(style, isUnderlined), x, y: top + ascent, textLength: length, lengthAdjust: 'spacingAndGlyphs', ...keeps })}>${escaped(seen)}</text>`;
  }

  /** What a text says, without its blanks: lines break elsewhere on other machines. `isHigh`: it is in the upper half. */
  function remember(text, box, isSeen) {
    const said = text.replace(/\s+/g, '');
    if (said !== '') texts.push({ text: said, isSeen, isHigh: isSeen && box.top >= 0 && box.bottom < bottom / 2 });
  }

  /** A text node's lines: [{text, left, right, top, bottom}]. */
  function lines(node) {
    const range = document.createRange();
    const found = [];
    const text = node.data;
    for (let at = 0; at < text.length; at += 1) {
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const rect = range.getClientRects()[0];
      if (!rect || rect.width === 0) continue;
      const last = found.at(-1);
      const letter = text[at] === '\n' ? ' ' : text[at];
      if (last && Math.abs(last.top - rect.top) < 2) {
        last.text += letter;
        last.ends.push(rect.right);
      } else if (letter.trim() !== '') {
        // Blanks before a line are no part of it: it begins where they end.
        found.push({ text: letter, left: rect.left, top: rect.top, bottom: rect.bottom, ends: [rect.right] });
      }
    }
    return found;
  }

  /** The line as it is seen in a box that cuts it off by three dots. */
  function dotted(one, style, limit) {
    if (one.ends.at(-1) <= limit + 0.5) return one;
    const dots = measured(style, '…').width;
    let kept = one.ends.length;
    while (kept > 0 && one.ends[kept - 1] + dots > limit) kept -= 1;
    return { ...one, text: `${one.text.slice(0, kept)}…`, ends: [...one.ends.slice(0, kept), (kept > 0 ? one.ends[kept - 1] : one.left) + dots] };
  }

  /** The lines of one text, together if there are more: elsewhere they break at other places, or the window ends between them. */
  function putLines(drawn, isPart) {
    if (drawn.length > 0) parts.push(isPart ? `<g>${drawn.join('')}</g>` : drawn.join(''));
  }

  function drawText(node, style, context) {
    const found = lines(node);
    if (found.length === 0) return;
    const drawn = found
      .map((one) => dotted(one, style, context.dots))
      .filter(({ top, bottom: end, left }) => isOn({ left, right: left + 1, top, bottom: end, width: 1, height: 1 }) && end > context.top && top < context.bottom)
      .map((one) => {
        const seen = one.text.trimEnd();
        return line(style, seen, one.left, one.top, one.ends[seen.length - 1] - one.left, context.isUnderlined);
      });
    putLines(drawn, found.length > 1);
    remember(node.data, found[0], drawn.length > 0);
  }

  // --- what the page draws before a text ---

  function drawBefore(element) {
    const style = getComputedStyle(element, '::before');
    if (style.content === 'none' || style.content === 'normal') return;
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const first = walker.nextNode();
    const [start] = first ? lines(first) : [];
    if (!start || !isOn({ left: start.left, right: start.left + 1, top: start.top, bottom: start.bottom, width: 1, height: 1 })) return;
    const own = getComputedStyle(element);
    const baseline = start.top + Math.round(measured(own, 'x').fontBoundingBoxAscent);
    const text = style.content.slice(1, -1);
    if (text === '') {
      const [wide, high] = [pixels(style.width), pixels(style.height)];
      const left = start.left - pixels(style.marginRight) - wide;
      drawBox(style, { left, top: baseline - high, right: left + wide, bottom: baseline, width: wide, height: high });
      return;
    }
    const size = measured(style, text);
    parts.push(line(style, text, start.left - size.width, baseline - Math.round(size.fontBoundingBoxAscent), measured(style, text.trimEnd()).width, false));
    remember(text, start, true);
  }

  // --- controls ---

  /** As much of a text as has room. */
  function fitting(style, text, room) {
    let kept = text;
    while (kept !== '' && measured(style, kept).width > room) kept = kept.slice(0, -1);
    return kept;
  }

  function drawControl(element, style, box) {
    if (element.type === 'checkbox') {
      const accent = element.checked ? '#0075ff' : '#ffffff';
      put('rect', { class: styled(`fill:${accent};stroke:${element.checked ? accent : '#767676'}`), x: box.left + 0.5, y: box.top + 0.5, width: box.width - 1, height: box.height - 1, rx: 2 });
      if (element.checked) put('path', { d: `M${round(box.left + box.width * 0.22)} ${round(box.top + box.height * 0.52)}l${round(box.width * 0.2)} ${round(box.height * 0.2)}l${round(box.width * 0.36)} -${round(box.height * 0.42)}`, fill: 'none', stroke: '#ffffff', 'stroke-width': 2 });
      return;
    }
    drawBox(style, box);
    const isSelect = element.localName === 'select';
    const given = isSelect ? (element.selectedOptions[0]?.textContent ?? '') : element.value;
    const written = given === '' ? getComputedStyle(element, '::placeholder') : style;
    const text = given === '' ? (element.placeholder ?? '') : given;
    const left = box.left + pixels(style.borderLeftWidth) + pixels(style.paddingLeft) + (isSelect ? 4 : 0);
    const room = box.right - pixels(style.borderRightWidth) - pixels(style.paddingRight) - (isSelect ? 16 : 0) - left;
    const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = measured(style, 'x');
    const high = Math.round(up) + Math.round(down);
    const isArea = element.localName === 'textarea';
    const step = isArea ? pixels(style.lineHeight) || high : 0;
    const first = isArea ? box.top + pixels(style.borderTopWidth) + pixels(style.paddingTop) + (step - high) / 2 : box.top + (box.height - high) / 2;
    const shown = text.split('\n').map((one) => fitting(style, one, room));
    const look = { color: written.color, fontStyle: style.fontStyle, fontWeight: style.fontWeight, fontSize: style.fontSize, fontFamily: style.fontFamily };
    const drawn = shown.map((one, at) => line(look, one, left, first + at * step, measured(style, one.trimEnd()).width, false)).filter((one) => one !== '');
    putLines(drawn, shown.join('\n') !== text || shown.length > 1);
    remember(text, box, drawn.length > 0);
    if (isSelect) {
      const at = box.right - 14;
      const middle = box.top + box.height / 2;
      put('path', { d: `M${round(at)} ${round(middle - 2)}l4 4l4 -4`, fill: 'none', stroke: colour(style.color), 'stroke-width': 1.5 });
    }
  }

  /** The colour of a bar's done part. The browser computes no style for it, so the rules are asked. */
  function doneColour(element) {
    const PART = '::-webkit-progress-value';
    const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).filter(({ selectorText = '' }) => selectorText.endsWith(PART));
    const found = rules.filter(({ selectorText }) => element.matches(selectorText.slice(0, -PART.length))).at(-1);
    const name = /var\((--[a-z-]+)\)/.exec(found.style.background)[1];
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function drawProgress(element, style, box) {
    const corner = radius(style, box);
    drawBox(style, box);
    const done = box.width * Math.max(0, element.position);
    if (done === 0) return;
    const look = styled(`fill:${doneColour(element)}`);
    put('rect', { class: look, x: box.left, y: box.top, width: done, height: box.height, rx: Math.min(corner, done / 2) });
    // Only the ends of the whole bar are round.
    if (element.position < 1 && done > corner) put('rect', { class: look, x: box.left + corner, y: box.top, width: done - corner, height: box.height });
  }

  /** The page's own SVG: its shapes with the colours that they have. */
  function drawPlot(element, box) {
    const NAMES = ['x', 'y', 'width', 'height', 'x1', 'x2', 'y1', 'y2', 'd', 'points', 'cx', 'cy', 'r', 'rx'];
    const shapes = [...element.children].map((shape) => {
      const style = getComputedStyle(shape);
      const given = Object.fromEntries(NAMES.filter((name) => shape.hasAttribute(name)).map((name) => [name, shape.getAttribute(name)]));
      for (const [name, value] of Object.entries(given)) if (/^-?[\d.]+$/.test(value)) given[name] = Number(value);
      if (given.width === 0 || given.height === 0) return '';
      const stroke = colour(style.stroke);
      return `<${shape.localName}${attributes({ class: styled([`fill:${colour(style.fill) ?? 'none'}`, ...(stroke ? [`stroke:${stroke}`] : []), ...(style.opacity === '1' ? [] : [`opacity:${style.opacity}`])].join(';')), ...given })}/>`;
    });
    const frame = { x: box.left, y: box.top, width: box.width, height: box.height, viewBox: element.getAttribute('viewBox') ?? undefined, preserveAspectRatio: element.getAttribute('preserveAspectRatio') ?? undefined };
    parts.push(`<svg${attributes(frame)}>${shapes.join('')}</svg>`);
  }

  // --- the walk ---

  function walk(element, context) {
    const style = getComputedStyle(element);
    if (style.display === 'none' || style.visibility === 'hidden' || style.clipPath !== 'none' || element.localName === 'script' || element.localName === 'noscript') return;
    if (element.localName === 'dialog' && element.matches(':modal') && !context.isTop) return;
    const box = element.getBoundingClientRect();
    const isFaint = style.opacity !== '1';
    if (isFaint) parts.push(`<g opacity="${style.opacity}">`);
    if (['input', 'select', 'textarea'].includes(element.localName)) {
      if (isOn(box)) drawControl(element, style, box);
      else remember(element.value || element.placeholder || '', box, false);
    } else if (element.localName === 'progress') {
      if (isOn(box)) drawProgress(element, style, box);
    } else if (element.localName === 'svg') {
      if (isOn(box)) drawPlot(element, box);
    } else {
      if (isOn(box) && style.display !== 'contents') drawBox(style, box);
      drawBefore(element);
      const inner = { ...context, isTop: false, isUnderlined: context.isUnderlined || style.textDecorationLine.includes('underline') };
      // A box with a border of its own does not pass a line under the text on.
      if (style.display.startsWith('inline-') || element.localName === 'button') inner.isUnderlined = style.textDecorationLine.includes('underline');
      if (style.overflowX !== 'visible' && style.textOverflow === 'ellipsis') inner.dots = Math.min(context.dots, box.right - pixels(style.paddingRight));
      // A box that cuts off what it holds. What is only a little wider is cut by three dots, or not at all.
      const isCut = style.overflowY !== 'visible' && element !== document.documentElement && element !== document.body && element.scrollHeight > element.clientHeight + 1 && box.height > 0;
      const isNarrow = style.overflowX !== 'visible' && style.textOverflow !== 'ellipsis' && element.scrollWidth > element.clientWidth + 1;
      if ((isCut || isNarrow) && isOn(box)) {
        clips.push(`<clipPath id="c${clips.length}"><rect${attributes({ x: box.left, y: box.top, width: box.width, height: box.height })}/></clipPath>`);
        parts.push(`<g clip-path="url(#c${clips.length - 1})">`);
        Object.assign(inner, { top: Math.max(context.top, box.top), bottom: Math.min(context.bottom, box.bottom) });
      }
      for (const child of element.childNodes) {
        if (child.nodeType === Node.TEXT_NODE) drawText(child, style, inner);
        else if (child.nodeType === Node.ELEMENT_NODE) walk(child, inner);
      }
      if ((isCut || isNarrow) && isOn(box)) parts.push('</g>');
    }
    if (isFaint) parts.push('</g>');
  }

  const modal = document.querySelector('dialog:modal');
  // A short page ends below its last part, and one that goes on at the window's edge.
  const bottom = Math.min(window.innerHeight, Math.ceil(Math.max(...[document.body, modal].map((one) => one?.getBoundingClientRect().bottom ?? 0))));
  const everything = { isUnderlined: false, dots: Infinity, top: 0, bottom, isTop: false };
  const ground = colour(getComputedStyle(document.documentElement).backgroundColor);
  put('rect', { class: styled(`fill:${ground}`), width, height: bottom });
  walk(document.body, everything);
  if (modal) {
    put('rect', { class: styled(`fill:${colour(getComputedStyle(modal, '::backdrop').backgroundColor)}`), width, height: bottom });
    walk(modal, { ...everything, isTop: true });
  }

  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${bottom}" viewBox="0 0 ${width} ${bottom}" role="img" aria-label="${escaped(label)}">`;
  const rules = [...classes].map(([declaration, name]) => `.${name}{${declaration}}`).join('\n');
  const defined = clips.length > 0 ? `<defs>${clips.join('')}</defs>\n` : '';
  return { svg: `${head}\n<style>\n${rules.replace(/</g, '&lt;')}\n</style>\n${defined}${parts.join('\n')}\n</svg>\n`, texts };
}
