/* Drives the interactive page in Chromium. Arguments: playwright-core's folder, Chromium, a JSON file {pages, shots}.
   Prints what was read and every message of the console, as JSON. */
const fs = require("fs");
const [, , playwright, executablePath, file] = process.argv;
const { chromium } = require(playwright);
const { pages, shots } = JSON.parse(fs.readFileSync(file, "utf8"));

const messages = [];

async function open(browser, url, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 }, ...options });
  page.on("console", (message) => messages.push(message.text()));
  page.on("pageerror", (error) => messages.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith("file:")) messages.push("asked the network for " + request.url());
  });
  await page.goto(url);
  return page;
}

const read = async (page) => ({
  total: Number(await page.getAttribute("#total", "data-value")),
  complexStep: Number(await page.getAttribute("#complex-step", "data-value")),
  sums: await page.innerText("#sums"),
  matrix: await page.$$eval("#matrix td[data-value]", (cells) => cells.map((cell) => Number(cell.dataset.value))),
  gradients: await page.$$eval("[data-gradient]", (all) => all.map((each) => [each.dataset.gradient, Number(each.dataset.value)])),
  inputs: await page.$$eval("#numbers input", (all) => all.map((each) => [each.dataset.key, Number(each.value)])),
  line: await page.innerText("#line"),
  progress: await page.innerText("#progress"),
  address: page.url(),
});

async function drag(page, field, pixels) {
  const handle = page.locator(`#numbers [data-field="${field}"]`);
  await handle.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await handle.boundingBox();
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width / 2, y + height / 2 - pixels, { steps: 4 });
  await page.mouse.up();
}

const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  const answer = {};
  let page = await open(browser, pages.lstm);
  answer.digits = Number(await page.getAttribute("#agreement", "data-digits"));
  answer.agreement = await page.innerText("#agreement");
  answer.first = await read(page);

  await page.selectOption("#weight", "W_hf.0.1");
  await drag(page, "W_hf.0.1", 37);
  answer.dragged = await read(page);
  await page.fill('[data-key="x.1.0"]', "0.37");
  await page.fill('[data-key="dy.2.1"]', "-1.25");
  await page.fill('[data-key="state.c.0"]', "0.05");
  answer.typed = await read(page);

  await page.click("h1");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowLeft");
  answer.keyed = await read(page);

  answer.again = await read(await open(browser, answer.keyed.address));

  await page.uncheck("#W_h");
  answer.withoutW_h = await read(page);
  await page.check("#W_h");
  await page.uncheck("#direct");
  answer.withoutC = await read(page);
  await page.check("#direct");
  await page.selectOption("#bug", "c-of-this-step");
  answer.bug = { ...(await read(page)), text: await page.innerText("#bug-text") };
  await page.selectOption("#bug", "");
  await page.focus("#cut");
  await page.keyboard.press("Home"); /* every step */
  answer.cut = await read(page);
  await page.keyboard.press("End");
  await page.focus("#forget");
  await page.keyboard.press("End"); /* 6 */
  answer.forget = await read(page);
  await page.focus("#radius");
  await page.keyboard.press("Home"); /* 0 */
  answer.radius = await read(page);
  await page.click("#reset");
  answer.reset = await read(page);

  await page.check("#predict");
  const right = Number(await page.getAttribute("#answer", "data-answer"));
  answer.hidden = !(await page.innerText("#line")).includes(right.toFixed(4)) && !(await page.isVisible("#matrix"));
  await page.fill("#answer", String(right + 1));
  await page.keyboard.press("Enter");
  answer.wrongVerdict = await page.innerText("#verdict");
  await page.fill("#answer", right.toFixed(2));
  await page.keyboard.press("Enter");
  answer.rightVerdict = await page.innerText("#verdict");
  await page.keyboard.press("ArrowRight");
  answer.afterAnswer = await page.innerText("#progress");
  await page.uncheck("#predict");

  await page.selectOption("#model", "gru");
  await page.focus("#T");
  await page.keyboard.press("End");
  answer.gru = await read(page);
  answer.steps = await page.innerText("#T-shown");
  answer.overflow = await overflow(page);

  for (const [name, url] of Object.entries(pages)) {
    const each = await open(browser, url);
    answer[`page ${name}`] = { digits: await each.getAttribute("#agreement", "data-digits"), fields: await each.locator("#numbers input").count(), note: await each.isVisible("#recorded"), chain: await each.innerText("#chain") };
    await each.close();
  }
  for (const colorScheme of ["light", "dark"]) {
    const each = await open(browser, pages.lstm, { colorScheme });
    answer[colorScheme] = await each.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await each.screenshot({ path: shots[colorScheme], fullPage: true });
  }
  answer.messages = messages;
  await browser.close();
  process.stdout.write(JSON.stringify(answer));
})();
