/* Goes through every line of every page and reads what is printed and drawn. Arguments: playwright-core's folder, Chromium, a
   JSON file {pages: name -> [url, models]}. Prints JSON: for each page and model its lines, labels and layout. */
const fs = require("fs");
const [, , playwright, executablePath, file] = process.argv;
const { chromium } = require(playwright);
const { pages } = JSON.parse(fs.readFileSync(file, "utf8"));

const WIDTHS = [320, 375, 768, 1024, 1280, 1600];

/* what one line of the computation shows */
const readLine = () => ({
  formula: document.querySelector("#line .formula").textContent,
  section: document.querySelector("#line .hint").textContent,
  code: (document.querySelector("#code") || { textContent: "" }).textContent,
  rows: [...document.querySelectorAll("#line tr")].map((row) => ({
    label: row.cells[0].textContent,
    numbers: row.cells[1].textContent.replace(/^= /, ""),
    printed: row.cells[2].textContent.replace(/^= /, ""),
    value: Number(row.cells[2].querySelector("span").dataset.value),
  })),
});
const readLabels = () => [...document.querySelectorAll("#chain text[data-name]")].map((text) => [Number(text.dataset.t), text.dataset.name, text.textContent]);
/* labels that lie on a box or on each other */
const overlaps = () => {
  const boxes = [...document.querySelectorAll("#chain .box")].map((each) => ["a box", each.getBBox()]);
  const texts = [...document.querySelectorAll("#chain text.value, #chain text.d")].map((each) => [each.textContent, each.getBBox()]);
  const names = [...document.querySelectorAll("#chain text.drag")].filter((each) => /[=]/.test(each.textContent)).map((each) => [each.textContent, each.getBBox()]);
  const meet = ([, a], [, b]) => a.x < b.x + b.width - 0.5 && b.x < a.x + a.width - 0.5 && a.y + 2 < b.y + b.height - 2 && b.y + 2 < a.y + a.height - 2;
  const found = [];
  texts.forEach((text, k) => [...boxes, ...names, ...texts.slice(k + 1)].forEach((other) => meet(text, other) && found.push(`${text[0]} on ${other[0]}`)));
  names.forEach((text) => boxes.forEach((other) => meet(text, other) && found.push(`${text[0]} on ${other[0]}`)));
  return found;
};
const overflow = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  const answer = { messages: [] };
  const watch = (page) => {
    page.on("console", (message) => answer.messages.push(message.text()));
    page.on("pageerror", (error) => answer.messages.push(error.message));
    page.on("request", (request) => request.url().startsWith("file:") || answer.messages.push("asked for " + request.url()));
    return page;
  };
  const page = watch(await browser.newPage({ viewport: { width: 1280, height: 720 } }));
  answer.pages = {};
  for (const [name, [url, models]] of Object.entries(pages)) {
    for (const model of models) {
      await page.goto(`${url}#model=${model}&T=3&H=2&I=2`);
      await page.reload();
      const lines = [];
      for (;;) {
        lines.push(await page.evaluate(readLine));
        const [now, of] = (await page.textContent("#progress")).split(" of ").map(Number);
        if (now === of) break;
        await page.keyboard.press("ArrowRight");
      }
      await page.goto(`${url}#model=${model}&T=12&last=1&line=3`);
      await page.reload();
      const seen = await page.evaluate(() => ["#chain", "#line table", "#code"].map((name) => document.querySelector(name).getBoundingClientRect().bottom));
      const scrolled = await page.evaluate(() => document.querySelector("#chain").scrollLeft);
      const far = { labels: await page.evaluate(readLabels), overlaps: await page.evaluate(overlaps) };
      await page.goto(`${url}#model=${model}&T=3&H=2&I=2`);
      await page.reload();
      answer.pages[`${name} ${model}`] = { lines, labels: await page.evaluate(readLabels), overlaps: await page.evaluate(overlaps), far, seen, scrolled };
    }
  }
  const [first] = Object.values(pages)[0];
  answer.widths = {};
  for (const width of WIDTHS) {
    for (const colorScheme of ["light", "dark"]) {
      const each = watch(await browser.newPage({ viewport: { width, height: 720 }, colorScheme, hasTouch: width < 800, isMobile: width < 800 }));
      await each.goto(`${first}#line=40&lang=${width % 3 ? "zh" : "en"}`);
      await each.click("[data-scene=vanishing]");
      answer.widths[`${width} ${colorScheme}`] = await each.evaluate(overflow);
      await each.close();
    }
  }
  /* addresses that nobody should write */
  answer.addresses = {};
  for (const address of ["line=-5", "line=abc", "line=1e9", "line=2.7", "T=abc&H=-1&unit=7", "model=toString", "model=constructor&beside=__proto__", "weight=W_h.9.9", "scene=nothing&answer=77", "exercise=none", "cut=-3", "changed=1&x.0.0=abc", "W_hf.0.0=1e308", "lang=xx"]) {
    await page.goto(`${first}#${address}`);
    await page.reload();
    answer.addresses[address] = { progress: await page.textContent("#progress"), line: await page.innerText("#line") };
  }
  /* a finger that the browser takes away while it drags */
  const touch = watch(await browser.newPage({ viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true }));
  await touch.goto(first + "#line=40");
  answer.touch = await touch.evaluate(() => {
    const handle = document.querySelector('[data-field="x.1.0"].handle');
    const value = () => Number(document.querySelector('[data-key="x.1.0"]').value);
    const mark = document.querySelector("#chain .current").getBoundingClientRect();
    const send = (type, clientY, pointerId = 1) => handle.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId, clientY, pointerType: "touch" }));
    const seen = [value()];
    send("pointerdown", 200);
    send("pointermove", 150);
    seen.push(value());
    send("pointermove", 100, 2); /* a second finger */
    seen.push(value());
    send("pointercancel", 150);
    send("pointermove", 50);
    seen.push(value());
    return { mark: [mark.left, mark.right], seen, actions: [handle, document.querySelector("#chain text.drag")].map((each) => getComputedStyle(each).touchAction) };
  });
  await browser.close();
  process.stdout.write(JSON.stringify(answer));
})();
